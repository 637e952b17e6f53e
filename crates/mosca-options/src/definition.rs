//! What an option is: its name, what it may be, what it is if nobody says, and what it does. Reading,
//! complaints, the schema and the printed file all follow from these.

/// An option of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    /// Its key.
    pub(crate) name: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
    /// What it is if nobody says, as JSON; `None` if it then has no effect at all.
    pub(crate) default: Option<&'static str>,
    /// What it could be, as JSON, for the file with every option; where nothing is said, what its kind allows.
    pub(crate) example: Option<&'static str>,
    /// What it does, in a few words.
    pub(crate) doc: &'static str,
    /// Why it changes nothing, where that is so.
    pub(crate) vain: Option<&'static str>,
    /// Whether its object is nothing without it.
    pub(crate) is_required: bool,
    /// Whether it is of mosca's older form, in which there are no `interfaces`.
    pub(crate) is_legacy: bool,
}

/// Options of one object.
pub(crate) type Section = fn() -> &'static [Definition];

/// What an option may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// True or false.
    Flag,
    /// A whole number.
    Number {
        /// The least.
        from: u64,
        /// The most.
        to: u64,
        /// Stands behind the range in complaints.
        unit: &'static str,
    },
    /// A text that is not empty.
    Text,
    /// One that is not shown in complaints.
    Secret,
    /// A file that has to be readable.
    File,
    /// A folder that has to be there.
    Folder,
    /// A file or a folder that may come to be.
    Path,
    /// A URL of http or https.
    Url,
    /// An IP network, such as `10.0.7.0/24`.
    Network,
    /// One of these words, in any case; those of digits may be numbers as well.
    Words(&'static [&'static str]),
    /// Any number of them.
    List(&'static Self),
    /// An object with any keys, each of them that.
    Named(&'static Self),
    /// An object of options.
    Section(Section),
    /// One of several objects, told apart by one of its keys.
    Choice(&'static Choice),
    /// The other, or true or false.
    FlagOr(&'static Self),
    /// The other, or false for off.
    FalseOr(&'static Self),
    /// Nothing that a file can have, for this reason.
    Nothing(&'static str),
}

/// Several objects that are told apart by one of their keys.
#[derive(Debug)]
pub(crate) struct Choice {
    /// That key.
    pub(crate) tag: &'static str,
    /// What it decides.
    pub(crate) doc: &'static str,
    /// The name of the variant that it is without the key, if there is one.
    pub(crate) default: Option<&'static str>,
    /// What it may be.
    pub(crate) variants: &'static [Variant],
}

/// One of several objects.
#[derive(Debug)]
pub(crate) struct Variant {
    /// Its name, and other names for the same.
    pub(crate) names: &'static [&'static str],
    /// Its options besides the tag, or why it is not to be had.
    pub(crate) options: Result<Section, &'static str>,
}

impl Choice {
    /// The variant of this name, in any case.
    pub(crate) fn variant(&self, name: &str) -> Option<&'static Variant> {
        let is_it = |it: &&Variant| it.names.iter().any(|it| it.eq_ignore_ascii_case(name));
        self.variants.iter().find(is_it)
    }

    /// The names of all variants that are to be had.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let there = self.variants.iter().filter(|it| it.options.is_ok());
        there.flat_map(|it| it.names.iter().copied())
    }
}

impl Definition {
    /// An option without a default.
    pub(crate) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default: None,
            example: None,
            doc,
            vain: None,
            is_required: false,
            is_legacy: false,
        }
    }

    /// The same with a default, as JSON.
    pub(crate) const fn or(self, json: &'static str) -> Self {
        Self {
            default: Some(json),
            ..self
        }
    }

    /// The same with what it could be, as JSON.
    pub(crate) const fn such_as(self, json: &'static str) -> Self {
        Self {
            example: Some(json),
            ..self
        }
    }

    /// The same, which changes nothing.
    pub(crate) const fn in_vain(self, reason: &'static str) -> Self {
        Self {
            vain: Some(reason),
            ..self
        }
    }

    /// The same, without which its object is nothing.
    pub(crate) const fn required(self) -> Self {
        Self {
            is_required: true,
            ..self
        }
    }

    /// The same, in mosca's older form.
    pub(crate) const fn legacy(self) -> Self {
        Self {
            is_legacy: true,
            ..self
        }
    }
}
