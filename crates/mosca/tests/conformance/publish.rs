//! Section 3.3: PUBLISH, its flags and its properties.
