//! Sections 2.2.1 and 2.3.1, 4.1, 4.4 and 4.5: packet identifiers, what a session keeps, what is
//! sent again, what is received.
