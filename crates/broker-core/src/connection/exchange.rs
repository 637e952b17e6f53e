//! One exchange between a client and an authentication method: whose turn it is, and what is said
//! (MQTT 5.0 section 4.12).
//!
//! ```text
//!             begin, AUTH from the client             Continue: AUTH 0x18 to the client
//!   client's ─────────────────────────────► method's ──────────────────────────► client's
//!     turn                                    turn  ──► Accept or Refuse: over
//! ```

use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use std::sync::Arc;

use mqtt_codec::{Auth, EncodeError, PropertiesBuf, Property, ReasonCode, Version};

use crate::authentication::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
    AuthenticationStep, Verdict,
};
use crate::close::{CloseCause, Violation};

/// Most bytes of authentication data, as of all binary data (section 1.5.6).
const DATA_BYTES_MAX: usize = 65_535;

/// An exchange between one client and one method.
pub(super) struct Exchange {
    pub(super) method: Arc<dyn AuthenticationMethod>,
    /// Packets of the client that were handed to the method.
    rounds: u16,
    turn: Turn,
}

enum Turn {
    /// AUTH from the client is to come.
    Client(Box<dyn AuthenticationExchange>),
    /// The method thinks.
    Method(Pin<Box<dyn Future<Output = AuthenticationStep> + Send>>),
    /// It is over.
    Over,
}

/// What the method has said.
pub(super) enum Said {
    Continue(Option<Vec<u8>>),
    Accept(Option<Vec<u8>>, Option<Arc<str>>),
    Refuse(AuthenticationRefusal),
}

impl Exchange {
    /// Begins it with what the client has said so far. `None` if the method has to think.
    pub(super) fn begin(
        method: &Arc<dyn AuthenticationMethod>,
        request: &AuthenticationRequest<'_>,
        data: Option<&[u8]>,
    ) -> (Self, Option<Said>) {
        let mut exchange = Self {
            method: Arc::clone(method),
            rounds: 1,
            turn: Turn::Over,
        };
        let said = exchange.step(method.begin(request), data);
        (exchange, said)
    }

    /// The client has said more.
    pub(super) fn hear(
        &mut self,
        auth: &Auth<'_>,
        max_rounds: u16,
    ) -> Result<Option<Said>, CloseCause> {
        check_method(auth, &*self.method)?;
        let turn = core::mem::replace(&mut self.turn, Turn::Over);
        let (ReasonCode::ContinueAuthentication, Turn::Client(exchange)) = (auth.reason_code, turn)
        else {
            return Err(CloseCause::Protocol(Violation::UnexpectedAuth));
        };
        if self.rounds >= max_rounds {
            return Ok(Some(Said::Refuse(AuthenticationRefusal::default())));
        }
        self.rounds += 1;
        Ok(self.step(exchange, auth.properties.authentication_data()))
    }

    fn step(
        &mut self,
        exchange: Box<dyn AuthenticationExchange>,
        data: Option<&[u8]>,
    ) -> Option<Said> {
        match exchange.step(data.map(<[u8]>::to_vec)) {
            Verdict::Ready(step) => Some(self.take(step)),
            Verdict::Pending(future) => {
                self.turn = Turn::Method(future);
                None
            }
        }
    }

    fn take(&mut self, step: AuthenticationStep) -> Said {
        self.turn = Turn::Over;
        let said = match step {
            AuthenticationStep::Continue { data, next } => {
                self.turn = Turn::Client(next);
                Said::Continue(data)
            }
            AuthenticationStep::Accept { data, user } => Said::Accept(data, user),
            AuthenticationStep::Refuse(refusal) => Said::Refuse(refusal),
        };
        match &said {
            Said::Continue(Some(data)) | Said::Accept(Some(data), _)
                if data.len() > DATA_BYTES_MAX =>
            {
                Said::Refuse(AuthenticationRefusal {
                    reason_code: ReasonCode::ImplementationSpecificError,
                    reason_string: None,
                })
            }
            _ => said,
        }
    }

    pub(super) fn is_thinking(&self) -> bool {
        matches!(self.turn, Turn::Method(_))
    }

    /// What the method says after having thought.
    pub(super) fn poll(&mut self, task: &mut TaskContext<'_>) -> Poll<Said> {
        let Turn::Method(future) = &mut self.turn else {
            return Poll::Pending;
        };
        future.as_mut().poll(task).map(|step| self.take(step))
    }
}

/// Every AUTH names the method of CONNECT (section 3.15).
pub(super) fn check_method(
    auth: &Auth<'_>,
    method: &dyn AuthenticationMethod,
) -> Result<(), CloseCause> {
    if auth.properties.authentication_method() == Some(method.name()) {
        Ok(())
    } else {
        Err(CloseCause::Protocol(Violation::AuthenticationMethod))
    }
}

pub(super) fn encode_auth(
    reason_code: ReasonCode,
    method: &str,
    data: Option<&[u8]>,
) -> Result<Vec<u8>, EncodeError> {
    let mut properties = PropertiesBuf::new();
    put_method(&mut properties, method, data)?;
    let auth = Auth {
        reason_code,
        properties: properties.as_properties(),
    };
    let mut bytes = Vec::new();
    auth.encode(Version::V5, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn put_method(
    properties: &mut PropertiesBuf,
    method: &str,
    data: Option<&[u8]>,
) -> Result<(), EncodeError> {
    properties.push(Property::AuthenticationMethod(method))?;
    if let Some(data) = data {
        properties.push(Property::AuthenticationData(data))?;
    }
    Ok(())
}
