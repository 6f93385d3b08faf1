//! The one private symbol that the tools' stubs call.
// A C symbol taking argc and argv is unsafe by nature.
#![allow(unsafe_code)]
