//! Who asks, and what that person may do.

mod keys;
mod tokens;

#[cfg(test)]
pub(crate) use keys::KeySource;
pub(crate) use keys::Keys;
pub(crate) use tokens::Tokens;

use crate::problem::Problem;
use engine::audit::Actor;
use engine::environment::Environment;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person is to the backups. Given by the project's owner in `app_metadata`, which no user can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Sees.
    Viewer,
    /// Makes backups, and restores into development and staging.
    Operator,
    /// Also cleans up, pins, and sees the policy and the audit.
    Admin,
    /// Restores into production.
    Restorer,
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Admin, Self::Restorer];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Restorer => "restorer",
        }
    }
}

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// To see backups, restores, drills, usage.
    See,
    /// To make and stop backups.
    Operate,
    /// To restore into an environment, and to stop that.
    Restore(Environment),
    /// To clean up, to pin, to see the policy and the audit.
    Administer,
}

impl Right {
    /// Who has it.
    fn roles(self) -> &'static [Role] {
        match self {
            Self::See => &Role::ALL,
            Self::Operate | Self::Restore(Environment::Development | Environment::Staging) => {
                &[Role::Operator, Role::Admin]
            }
            Self::Restore(Environment::Production) => &[Role::Restorer],
            Self::Administer => &[Role::Admin],
        }
    }
}

/// A person whose token was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: Option<String>,
    pub(crate) roles: Vec<Role>,
    /// Whether a second factor was used to sign in (`aal2`).
    pub(crate) second_factor: bool,
}

impl Person {
    /// Requires a right.
    pub(crate) fn require(&self, right: Right) -> Result<(), Problem> {
        let roles = right.roles();
        if roles.iter().any(|role| self.roles.contains(role)) {
            return Ok(());
        }
        let names = roles.iter().map(|role| format!("`{}`", role.as_str())).collect::<Vec<_>>().join(" or ");
        Err(Problem::forbidden(format!(
            "this takes the role {names}; the owner of the project gives it in `app_metadata.backup_roles`, and it holds from the next \
             sign-in on"
        )))
    }

    /// Requires what it takes to change an environment: for production a second factor too.
    pub(crate) fn require_restore(&self, into: Environment) -> Result<(), Problem> {
        self.require(Right::Restore(into))?;
        if into == Environment::Production && !self.second_factor {
            return Err(Problem::forbidden(
                "to restore into production, sign in with a second factor (`aal2`), and try again",
            ));
        }
        Ok(())
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor {
            id: self.id.clone(),
            email: self.email.clone(),
            roles: self.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        }
    }
}
