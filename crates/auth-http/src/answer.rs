//! What the service has answered.

use std::time::{Duration, SystemTime};

use authorizer::Acl;
use hyper::StatusCode;
use serde::Deserialize;

/// Its decision.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allow(Details),
    /// The credentials are wrong.
    BadCredentials,
    Deny,
    Ignore,
}

/// What it says of a client that it lets in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) user: Option<String>,
    pub(crate) acl: Option<Acl>,
    pub(crate) until: Option<SystemTime>,
}

#[derive(Deserialize)]
struct Raw {
    result: Outcome,
    user: Option<String>,
    #[serde(default)]
    is_superuser: bool,
    acl: Option<Acl>,
    expire_at: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Allow,
    Deny,
    Ignore,
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("the answer has status {0}")]
    Status(StatusCode),
    #[error("the answer cannot be understood: {0}")]
    Body(#[from] serde_json::Error),
    #[error("`expire_at` is no time")]
    Time,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, body: &[u8]) -> Result<Self, AnswerError> {
        match status {
            StatusCode::NO_CONTENT => Ok(Self::Allow(Details::default())),
            StatusCode::OK if body.is_empty() => Ok(Self::Allow(Details::default())),
            StatusCode::OK => serde_json::from_slice::<Raw>(body)?.decided(),
            StatusCode::UNAUTHORIZED => Ok(Self::BadCredentials),
            StatusCode::FORBIDDEN => Ok(Self::Deny),
            other => Err(AnswerError::Status(other)),
        }
    }
}

impl Raw {
    fn decided(self) -> Result<Answer, AnswerError> {
        match self.result {
            Outcome::Deny => return Ok(Answer::Deny),
            Outcome::Ignore => return Ok(Answer::Ignore),
            Outcome::Allow => {}
        }
        let until = self.expire_at.map(|secs| {
            let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs));
            time.ok_or(AnswerError::Time)
        });
        let acl = if self.is_superuser {
            Some(Acl::everything())
        } else {
            self.acl
        };
        Ok(Answer::Allow(Details {
            user: self.user.filter(|user| !user.is_empty()),
            acl,
            until: until.transpose()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Answer, String> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer::new(status, body.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_decides_decides_and_everything_else_is_a_failure() {
        let plain = || Ok(Answer::Allow(Details::default()));
        assert_eq!(answer(204, ""), plain());
        assert_eq!(answer(200, ""), plain());
        assert_eq!(answer(200, r#"{"result": "allow", "more": 1}"#), plain());
        assert_eq!(
            answer(200, r#"{"result": "deny", "expire_at": 1}"#),
            Ok(Answer::Deny)
        );
        assert_eq!(answer(200, r#"{"result": "ignore"}"#), Ok(Answer::Ignore));
        assert_eq!(answer(401, "whatever"), Ok(Answer::BadCredentials));
        assert_eq!(answer(403, ""), Ok(Answer::Deny));
        for (status, body) in [
            (200, "true"),
            (200, "{}"),
            (200, r#"{"result": "ALLOW"}"#),
            (200, r#"{"result": "allow", "acl": {"publish": "a"}}"#),
            (200, r#"{"result": "allow", "is_superuser": "yes"}"#),
            (200, r#"{"result": "allow", "expire_at": -1}"#),
            (
                200,
                r#"{"result": "allow", "expire_at": 18446744073709551615}"#,
            ),
            (200, "<html>"),
            (201, r#"{"result": "allow"}"#),
            (302, ""),
            (404, ""),
            (500, r#"{"result": "allow"}"#),
        ] {
            assert!(answer(status, body).is_err(), "{status} {body}");
        }
    }

    #[test]
    fn who_is_let_in_may_be_told_more_of() {
        let body =
            r#"{"result": "allow", "user": "eve", "acl": {"publish": ["a"]}, "expire_at": 7}"#;
        let Ok(Answer::Allow(Details { user, acl, until })) = answer(200, body) else {
            panic!("it decides");
        };
        assert_eq!(user.as_deref(), Some("eve"));
        assert_eq!(until, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7)));
        let rights = acl.unwrap().permissions(None, "phone");
        assert!(rights.may_publish("a") && !rights.may_subscribe("a"));
        let Ok(Answer::Allow(details)) = answer(
            200,
            r#"{"result": "allow", "user": "", "is_superuser": true, "acl": []}"#,
        ) else {
            panic!("it decides");
        };
        assert_eq!(details.user, None);
        let rights = details.acl.unwrap().permissions(None, "phone");
        assert!(rights.may_publish("a/b") && rights.may_subscribe("#"));
    }
}
