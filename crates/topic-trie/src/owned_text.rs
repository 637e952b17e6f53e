//! What the owned forms of topic names and topic filters have in common, written once.

/// Gives an owned text the conversions that follow from its borrowed form, by which it is checked.
macro_rules! impl_owned_text {
    ($owned:ident from $borrowed:ident, by $borrow:ident) => {
        impl From<$borrowed<'_>> for $owned {
            fn from(text: $borrowed<'_>) -> Self {
                text.to_buf()
            }
        }

        impl TryFrom<String> for $owned {
            type Error = TopicError;

            fn try_from(text: String) -> Result<Self, TopicError> {
                $borrowed::new(&text)?;
                Ok(Self(text.into_boxed_str()))
            }
        }

        impl FromStr for $owned {
            type Err = TopicError;

            fn from_str(text: &str) -> Result<Self, TopicError> {
                $borrowed::new(text).map($borrowed::to_buf)
            }
        }

        impl Borrow<str> for $owned {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $owned {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $owned {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $owned {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.$borrow(), f)
            }
        }
    };
}
pub(crate) use impl_owned_text;
