//! Tokens of Supabase Auth: signed by a key of the issuer, for this audience, not over, and of a person.
//!
//! Always holds: the algorithm is the key's, and never what the token says; roles come from `app_metadata` alone; a token of an
//! application (`client_id`), or of nobody in particular (`is_anonymous`), is not believed.

use super::{Keys, Person, Role};
use crate::problem::Problem;
use engine::clock::Clock;
use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

/// Clocks of two machines may be this far apart.
const LEEWAY_S: i64 = 30;
/// More than any token has; nothing longer is looked at.
const BYTES_MAX: usize = 8 * 1024;
const ID_BYTES: std::ops::RangeInclusive<usize> = 1..=128;

/// What believes tokens.
pub(crate) struct Tokens {
    pub(crate) keys: Keys,
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    aal: Option<String>,
    #[serde(default)]
    is_anonymous: Option<Value>,
    #[serde(default)]
    client_id: Option<Value>,
    #[serde(default)]
    app_metadata: AppMetadata,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Default, Deserialize)]
struct AppMetadata {
    #[serde(default)]
    backup_roles: Value,
}

impl Tokens {
    /// The person of a token.
    pub(crate) async fn believe(&self, token: &str, clock: &dyn Clock) -> Result<Person, Problem> {
        if token.len() > BYTES_MAX {
            return Err(Problem::unauthorized("the token is too long"));
        }
        let unreadable = |_| Problem::unauthorized("the token cannot be read");
        let header = decode_header(token).map_err(unreadable)?;
        let Some(kid) = header.kid else {
            return Err(Problem::unauthorized("the token does not say which key signed it"));
        };
        let Some((algorithm, key)) = self.keys.find(&kid).await? else {
            return Err(Problem::unauthorized("the token was signed by a key that the issuer does not have"));
        };
        if header.alg != algorithm {
            return Err(Problem::unauthorized("the token is signed in another way than its key is for"));
        }
        let mut validation = Validation::new(algorithm);
        // What it says is examined below, by this function's own clock.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        validation.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &key, &validation);
        let claims = claims.map_err(|_| Problem::unauthorized("the token is not signed as it should be"))?.claims;
        self.examine(&claims, clock.now().as_millis() / 1_000)?;
        let roles = roles(&claims.app_metadata.backup_roles);
        let second_factor = claims.aal.as_deref() == Some("aal2");
        Ok(Person { id: claims.sub, email: claims.email.filter(|e| !e.is_empty()), roles, second_factor })
    }

    fn examine(&self, claims: &Claims, now_s: i64) -> Result<(), Problem> {
        let refuse = |why: &str| Err(Problem::unauthorized(why));
        if claims.iss != self.issuer {
            return refuse("the token is of another issuer");
        }
        let for_us = match &claims.aud {
            Audience::One(audience) => *audience == self.audience,
            Audience::Many(audiences) => audiences.contains(&self.audience),
        };
        if !for_us {
            return refuse("the token is for another audience");
        }
        if claims.exp <= now_s - LEEWAY_S {
            return refuse("the token is over; sign in again, or refresh it");
        }
        if claims.nbf.into_iter().chain(claims.iat).any(|from| from > now_s + LEEWAY_S) {
            return refuse("the token is of a time that has not come; look at the clocks");
        }
        if claims.client_id.as_ref().is_some_and(|id| !id.is_null()) {
            return refuse("the token is of an application, and not of a person");
        }
        if claims.is_anonymous.as_ref().is_some_and(|is| !matches!(is, Value::Null | Value::Bool(false))) {
            return refuse("the token is of nobody in particular: sign in");
        }
        if claims.role.as_deref().is_some_and(|role| role != "authenticated") {
            return refuse("the token is not of a person who signed in");
        }
        if !ID_BYTES.contains(&claims.sub.len()) {
            return refuse("the token does not say whose it is");
        }
        Ok(())
    }
}

/// The roles that are known; nothing else gives any right.
fn roles(claim: &Value) -> Vec<Role> {
    let named = |name: &str| claim.as_array().is_some_and(|all| all.iter().any(|role| role.as_str() == Some(name)));
    Role::ALL.into_iter().filter(|role| named(role.as_str())).collect()
}
