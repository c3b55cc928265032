//! What an event concerns.

use proto::event::v1 as pb;

/// What an event concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, clap::ValueEnum)]
pub enum Scope {
    /// The whole system
    #[default]
    System,
    /// One database
    Database,
    /// One group of users
    Group,
    /// One user
    User,
}

impl Scope {
    /// Name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Database => "database",
            Self::Group => "group",
            Self::User => "user",
        }
    }

    /// As it is stored: events that know of no scope have 0.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::System => 0,
            Self::Database => 1,
            Self::Group => 2,
            Self::User => 3,
        }
    }

    pub(super) fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Database,
            2 => Self::Group,
            3 => Self::User,
            _ => Self::System,
        }
    }
}

impl From<Scope> for pb::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::System => Self::System,
            Scope::Database => Self::Database,
            Scope::Group => Self::Group,
            Scope::User => Self::User,
        }
    }
}

/// The scope that protobuf carried; `None` if it is unspecified.
#[must_use]
pub fn scope(scope: pb::Scope) -> Option<Scope> {
    match scope {
        pb::Scope::Unspecified => None,
        pb::Scope::System => Some(Scope::System),
        pb::Scope::Database => Some(Scope::Database),
        pb::Scope::Group => Some(Scope::Group),
        pb::Scope::User => Some(Scope::User),
    }
}
