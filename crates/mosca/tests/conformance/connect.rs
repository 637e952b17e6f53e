//! Section 3.1: CONNECT, what it is answered with, and what it begins.
