//! Section 4.6: in which order messages arrive.
