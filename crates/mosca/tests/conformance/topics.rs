//! Section 4.7: topic names and topic filters.
