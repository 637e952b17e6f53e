//! Sections 3.8 and 3.9: SUBSCRIBE and SUBACK.
