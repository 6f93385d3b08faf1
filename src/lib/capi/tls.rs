//! The data symbol `current_config`, which programs of upstream's tree import: thread-local, eight bytes, null. Nothing
//! here reads or writes it.

/// Stable Rust cannot export a thread-local symbol. A static that lies in a thread-local section becomes one: the
/// assembler gives every symbol of such a section the type STT_TLS (checked by tests/abi.rs with readelf). Rust code must
/// never touch it, since the address that it would take is not one.
#[unsafe(export_name = "current_config")]
#[unsafe(link_section = ".tbss")]
static CURRENT_CONFIG: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
