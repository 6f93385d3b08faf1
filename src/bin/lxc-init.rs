//! init.lxc: the small init of lxc-execute as a program of its own, static so that it runs inside any root.

fn main() {
    let code = lxc::runtime::pid1::main(std::env::args_os());
    std::process::exit(code);
}
