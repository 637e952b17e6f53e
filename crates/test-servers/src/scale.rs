//! How much tests on large amounts ask of a server.

/// The environment variable that says it.
const VARIABLE: &str = "MOSCA_TEST_SCALE";

/// Whether amounts are to be as large as for a store inside of the process, however long that takes:
/// `MOSCA_TEST_SCALE=full`, as `cargo xtask test --full` sets it.
///
/// # Panics
/// If the variable has another value, which would ask for nothing without saying so.
pub fn at_full_scale() -> bool {
    match std::env::var_os(VARIABLE) {
        None => false,
        Some(value) if value == "full" => true,
        Some(value) => panic!("{VARIABLE} is {value:?}; it may be \"full\" or not be set"),
    }
}
