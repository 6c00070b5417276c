//! How hard fault tests try: `RAPPORT_TEST_SIZE`, small (default) for every change, full for the soak.

/// Whether the full sizes are asked for.
pub fn is_full() -> bool {
    std::env::var("RAPPORT_TEST_SIZE").is_ok_and(|size| size == "full")
}

/// `small` or `full`, whichever is asked for.
pub fn pick<T>(small: T, full: T) -> T {
    if is_full() { full } else { small }
}
