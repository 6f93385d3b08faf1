//! Device rules: what `devices.allow` and `devices.deny` mean, as a list for version 1 and as a BPF program for cgroup2.
//!
//! The meaning is that of the version 1 controller (Linux: Documentation/admin-guide/cgroup-v1/devices.rst) in both: a
//! default and a list of exceptions from it; `a` sets the default and empties the list; a rule against the default adds
//! to the exceptions, one for the default takes away from the exception of the same device numbers.
#![forbid(unsafe_code)]

use crate::base::{Context, Error, Result};
use crate::sys::bpf::{self, Insn};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `a`: every device.
    All,
    /// `b`: block devices.
    Block,
    /// `c`: character devices.
    Char,
}

/// mknod(2), a bit of [`Rule::access`] and of the kernel's BPF_DEVCG_ACC_*.
pub const MKNOD: u8 = 1;
/// Reading.
pub const READ: u8 = 2;
/// Writing.
pub const WRITE: u8 = 4;

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Allows, or denies.
    pub allow: bool,
    /// The devices' type.
    pub what: What,
    /// Major number; `None` is any.
    pub major: Option<u32>,
    /// Minor number; `None` is any.
    pub minor: Option<u32>,
    /// What is allowed or denied: bits of [`MKNOD`], [`READ`], [`WRITE`].
    pub access: u8,
}

impl Rule {
    /// A rule from the value of `devices.allow` (`allow`) or `devices.deny`: `a`, `a *:* rwm`, `c 1:3 rw`, and a
    /// device's path as in `/dev/fuse rwm`.
    ///
    /// # Errors
    /// What is wrong with the text, and the form that is right; a path that is no device.
    pub fn parse(text: &str, allow: bool) -> Result<Rule> {
        let wrong = |why: &str| {
            Error::os(libc::EINVAL, format!("device rule \"{text}\": {why}"))
                .stage("cgroup")
                .hint("write it as: a, or c 1:3 rwm (c or b, MAJOR:MINOR with * for any, and some of r, w, m)")
        };
        let mut words = text.split_whitespace();
        let first = words.next().ok_or_else(|| wrong("it is empty"))?;
        if first.starts_with('/') {
            return Rule::of_path(first, words.next().unwrap_or("rwm"), allow).ok_or_else(|| wrong("no such device"));
        }
        let what = match first {
            "a" => return Ok(Rule { allow, what: What::All, major: None, minor: None, access: MKNOD | READ | WRITE }),
            "b" => What::Block,
            "c" => What::Char,
            _ => return Err(wrong("it begins with none of a, b, c and /")),
        };
        let (major, minor) =
            words.next().and_then(|n| n.split_once(':')).ok_or_else(|| wrong("MAJOR:MINOR is missing"))?;
        let number = |n: &str| if n == "*" { Ok(None) } else { n.parse::<u32>().map(Some) };
        let major = number(major).map_err(|_| wrong("the major number is none"))?;
        let minor = number(minor).map_err(|_| wrong("the minor number is none"))?;
        let access = words.next().and_then(access).ok_or_else(|| wrong("the access is not made of r, w and m"))?;
        if words.next().is_some() {
            return Err(wrong("there is more after the access"));
        }
        Ok(Rule { allow, what, major, minor, access })
    }

    fn of_path(path: &str, rights: &str, allow: bool) -> Option<Rule> {
        let meta = std::fs::metadata(path).ok()?;
        let what = match meta.file_type() {
            t if t.is_char_device() => What::Char,
            t if t.is_block_device() => What::Block,
            _ => return None,
        };
        let dev = meta.rdev();
        let number = |n: u64| u32::try_from(n).ok();
        let (major, minor) = (number(nix::sys::stat::major(dev))?, number(nix::sys::stat::minor(dev))?);
        Some(Rule { allow, what, major: Some(major), minor: Some(minor), access: access(rights)? })
    }

    /// The rule as version 1 files take it.
    pub fn text(&self) -> String {
        let kind = match self.what {
            What::All => return "a".into(),
            What::Block => 'b',
            What::Char => 'c',
        };
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_string(), |n| n.to_string());
        let rights: String = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')]
            .iter()
            .filter(|(b, _)| self.access & b != 0)
            .map(|(_, c)| *c)
            .collect();
        format!("{kind} {}:{} {rights}", number(self.major), number(self.minor))
    }

    fn same_devices(&self, other: &Rule) -> bool {
        (self.what, self.major, self.minor) == (other.what, other.major, other.minor)
    }
}

fn access(text: &str) -> Option<u8> {
    let bits = text.chars().try_fold(0, |bits, c| match c {
        'r' => Some(bits | READ),
        'w' => Some(bits | WRITE),
        'm' => Some(bits | MKNOD),
        _ => None,
    })?;
    (bits != 0).then_some(bits)
}

/// A default and its exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Set {
    /// What is not excepted is allowed.
    open: bool,
    /// The exceptions; their `allow` is the opposite of `open`.
    rules: Vec<Rule>,
}

impl Set {
    /// The rules of cgroup2 keys: all is denied until a rule says otherwise.
    pub fn closed() -> Set {
        Set::default()
    }

    /// The rules of version 1 keys: all is allowed, as in a new version 1 group.
    pub fn open() -> Set {
        Set { open: true, rules: Vec::new() }
    }

    /// Adds one rule; says whether it changed anything.
    pub fn add(&mut self, rule: &Rule) -> bool {
        if rule.what == What::All {
            let changed = self.open != rule.allow || !self.rules.is_empty();
            self.open = rule.allow;
            self.rules.clear();
            return changed;
        }
        let at = self.rules.iter().position(|r| r.same_devices(rule));
        if rule.allow == self.open {
            // For the default: takes from the exception of the same numbers.
            let Some(old) = at.and_then(|i| self.rules.get_mut(i)) else { return false };
            let before = old.access;
            old.access &= !rule.access;
            let changed = old.access != before;
            self.rules.retain(|r| r.access != 0);
            return changed;
        }
        match at.and_then(|i| self.rules.get_mut(i)) {
            Some(old) => {
                let before = old.access;
                old.access |= rule.access;
                old.access != before
            }
            None => {
                self.rules.push(*rule);
                true
            }
        }
    }

    /// The program for BPF_PROG_TYPE_CGROUP_DEVICE (Linux: include/uapi/linux/bpf.h, struct bpf_cgroup_dev_ctx): about
    /// eight instructions a rule.
    pub fn compile(&self) -> Vec<Insn> {
        // r1 points to { u32 access_type = (access << 16) | type; u32 major; u32 minor; }.
        let mut code = vec![load(2, 0), mov_reg(3, 2), alu(RSH, 3, 16), alu(AND, 2, 0xffff), load(4, 4), load(5, 8)];
        for rule in &self.rules {
            let mut part = Vec::with_capacity(8);
            // Jumps that leave the rule: their distance is known at its end.
            let mut out = Vec::with_capacity(4);
            let kind = if rule.what == What::Block { 1 } else { 2 };
            out.push(part.len());
            part.push(jump(JNE, 2, kind));
            part.push(mov_reg(1, 3));
            if self.open {
                // Any excepted access is denied.
                part.push(alu(AND, 1, i32::from(rule.access)));
                out.push(part.len());
                part.push(jump(JEQ, 1, 0));
            } else {
                // All of the access must be excepted.
                part.push(alu(AND, 1, i32::from(!rule.access & (MKNOD | READ | WRITE))));
                out.push(part.len());
                part.push(jump(JNE, 1, 0));
            }
            for (register, number) in [(4, rule.major), (5, rule.minor)] {
                if let Some(n) = number {
                    out.push(part.len());
                    // A 32-bit compare of the numbers' bits.
                    part.push(jump(JNE, register, i32::from_ne_bytes(n.to_ne_bytes())));
                }
            }
            part.push(mov(0, i32::from(!self.open)));
            part.push(exit());
            let end = part.len();
            for at in out {
                if let (Some(insn), Ok(distance)) = (part.get_mut(at), i16::try_from(end - at - 1)) {
                    insn.off = distance;
                }
            }
            code.extend(part);
        }
        code.push(mov(0, i32::from(self.open)));
        code.push(exit());
        code
    }

    /// The same as rules for the files of version 1, in a group that allows all.
    pub fn v1(&self) -> Vec<Rule> {
        let first = Rule { allow: self.open, what: What::All, major: None, minor: None, access: MKNOD | READ | WRITE };
        std::iter::once(first).chain(self.rules.iter().copied()).collect()
    }
}

/// A program attached to a cgroup2 group. It goes with the group; the descriptor is kept so that it can be replaced.
#[derive(Debug)]
pub struct Program {
    set: Set,
    prog: OwnedFd,
}

impl Program {
    /// Attaches the rules to the group in `dir`; the old program, if any, goes only when the new one is in force.
    ///
    /// # Errors
    /// A program that the kernel refuses.
    pub fn attach(set: Set, dir: &str, old: Option<Program>) -> Result<Program> {
        let group = super::file::open_dir(dir).ctx(|| format!("cannot open cgroup {dir}"))?;
        let what = || format!("cannot attach the device rules to cgroup {dir}");
        let prog = bpf::load_cgroup_device(&set.compile()).ctx(what)?;
        bpf::attach(&prog, &group, bpf::ALLOW_MULTI).ctx(what)?;
        if let Some(old) = old {
            bpf::detach(&old.prog, &group).ctx(|| format!("cannot detach the old device rules of cgroup {dir}"))?;
        }
        Ok(Program { set, prog })
    }

    /// The rules in force.
    pub fn set(&self) -> &Set {
        &self.set
    }
}

// Instructions (Linux: Documentation/bpf/standardization/instruction-set.rst).
const RSH: u8 = 0x74;
const AND: u8 = 0x54;
const JNE: u8 = 0x56;
const JEQ: u8 = 0x16;
const LDX_W: u8 = 0x61;
const MOV: u8 = 0xb4;
const MOV_X: u8 = 0xbc;
const EXIT: u8 = 0x95;

const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, regs: (src << 4) | dst, off, imm }
}
const fn load(dst: u8, off: i16) -> Insn {
    insn(LDX_W, dst, 1, off, 0)
}
const fn mov_reg(dst: u8, src: u8) -> Insn {
    insn(MOV_X, dst, src, 0, 0)
}
const fn mov(dst: u8, imm: i32) -> Insn {
    insn(MOV, dst, 0, 0, imm)
}
const fn alu(op: u8, dst: u8, imm: i32) -> Insn {
    insn(op, dst, 0, 0, imm)
}
const fn jump(op: u8, dst: u8, imm: i32) -> Insn {
    insn(op, dst, 0, 0, imm)
}
const fn exit() -> Insn {
    insn(EXIT, 0, 0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs a program on one request: an interpreter of just these instructions, that panics on any other.
    fn run(code: &[Insn], what: What, major: u32, minor: u32, rights: u8) -> bool {
        let kind = if what == What::Block { 1 } else { 2 };
        let ctx = [(u32::from(rights) << 16) | kind, major, minor];
        let (mut r, mut pc) = ([0u32; 11], 0usize);
        for _ in 0..10_000 {
            let i = &code[pc];
            let (dst, src) = (usize::from(i.regs & 15), usize::from(i.regs >> 4));
            let imm = u32::from_ne_bytes(i.imm.to_ne_bytes());
            pc += 1;
            match i.code {
                LDX_W => {
                    assert_eq!(src, 1, "only the context is read");
                    r[dst] = ctx[usize::try_from(i.off).unwrap() / 4];
                }
                MOV => r[dst] = imm,
                MOV_X => r[dst] = r[src],
                RSH => r[dst] >>= imm,
                AND => r[dst] &= imm,
                JNE if r[dst] != imm => pc += usize::try_from(i.off).unwrap(),
                JEQ if r[dst] == imm => pc += usize::try_from(i.off).unwrap(),
                JNE | JEQ => {}
                EXIT => return r[0] == 1,
                c => panic!("instruction {c:#x}"),
            }
        }
        panic!("no end");
    }

    /// What the version 1 controller answers, in its own words.
    fn model(set: &Set, what: What, major: u32, minor: u32, rights: u8) -> bool {
        let hit =
            |r: &&Rule| r.what == what && r.major.is_none_or(|m| m == major) && r.minor.is_none_or(|m| m == minor);
        let mut hits = set.rules.iter().filter(hit);
        if set.open { !hits.any(|r| r.access & rights != 0) } else { hits.any(|r| rights & !r.access == 0) }
    }

    fn set(start: Set, rules: &[(&str, bool)]) -> Set {
        rules.iter().fold(start, |mut s, (t, allow)| {
            s.add(&Rule::parse(t, *allow).unwrap());
            s
        })
    }

    #[test]
    fn parsing() {
        assert_eq!(Rule::parse("a *:* rwm", false).unwrap().what, What::All);
        let r = Rule::parse("c 136:* rwm", true).unwrap();
        assert_eq!((r.major, r.minor, r.access), (Some(136), None, 7));
        assert_eq!(r.text(), "c 136:* rwm");
        assert_eq!(Rule::parse("/dev/null rw", true).unwrap().text(), "c 1:3 rw");
        for bad in ["", "x 1:3 r", "c 1 r", "c 1:3", "c 1:3 q", "c 1:3 r r", "c -1:3 r", "/etc/passwd r", "/nowhere r"]
        {
            assert!(Rule::parse(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn meaning() {
        let s = set(Set::closed(), &[("a", false), ("c *:* m", true), ("c 1:3 rwm", true)]);
        let p = s.compile();
        assert!(run(&p, What::Char, 1, 3, READ | WRITE));
        assert!(run(&p, What::Char, 7, 7, MKNOD));
        assert!(!run(&p, What::Char, 7, 7, MKNOD | READ));
        assert!(!run(&p, What::Block, 1, 3, READ));
        // The same rule against itself flips it, as often as one likes.
        let flip = [("c 1:3 rwm", true), ("c 1:3 rwm", false), ("c 1:3 rwm", true), ("c 1:3 w", false)];
        let p = set(Set::closed(), &flip).compile();
        assert!(run(&p, What::Char, 1, 3, READ) && !run(&p, What::Char, 1, 3, WRITE));
        // `allow a` opens and forgets; then rules deny.
        let s = set(Set::closed(), &[("c 1:3 r", true), ("a", true), ("b 8:* w", false)]);
        let p = s.compile();
        assert!(run(&p, What::Block, 8, 1, READ) && !run(&p, What::Block, 8, 1, READ | WRITE));
        assert!(run(&p, What::Char, 1, 3, WRITE));
        assert_eq!(s.v1().iter().map(Rule::text).collect::<Vec<_>>(), ["a", "b 8:* w"]);
        // Large numbers compare as what they are.
        let p = set(Set::closed(), &[("c 4294967295:4294967295 r", true)]).compile();
        assert!(run(&p, What::Char, u32::MAX, u32::MAX, READ));
        assert!(p.len() <= 6 + 8 + 2);
    }

    proptest! {
        #[test]
        fn program_is_the_model(
            open: bool,
            rules in prop::collection::vec((any::<bool>(), 0..3u8, 0..3u32, 0..3u32, 1..8u8), 0..12),
            asked in (any::<bool>(), 1..3u32, 1..3u32, 1..8u8),
        ) {
            let mut s = if open { Set::open() } else { Set::closed() };
            for (allow, what, major, minor, access) in rules {
                let what = [What::Block, What::Char, What::All][usize::from(what)];
                let number = |n| (n != 0).then_some(n);
                s.add(&Rule { allow, what, major: number(major), minor: number(minor), access });
            }
            let what = if asked.0 { What::Block } else { What::Char };
            let got = run(&s.compile(), what, asked.1, asked.2, asked.3);
            prop_assert_eq!(got, model(&s, what, asked.1, asked.2, asked.3));
        }
    }
}
