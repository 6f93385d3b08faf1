//! Stand-ins for what other helpers have not landed yet.
#![forbid(unsafe_code)]

/// Until `security::prepare` lands.
#[derive(Debug, Default)]
pub struct SecurityPrepared {
    /// Label to write.
    pub label: Option<(Vec<std::ffi::CString>, Vec<u8>)>,
    /// Program and flags.
    pub seccomp: Option<(Vec<u8>, u32)>,
}
