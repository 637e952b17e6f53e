//! An authentication method that the input of the fuzzer tells what to do.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use broker_core::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
    AuthenticationStep, Verdict,
};

/// The name of the one authentication method there is.
pub(super) const METHOD: &str = "M";

/// An authentication method that does what the first byte of the client's data says.
pub(super) struct Obedient;

/// A verdict that comes when it was asked for so often, or never.
struct Slow(Option<AuthenticationStep>, u8);

impl AuthenticationMethod for Obedient {
    fn name(&self) -> &str {
        METHOD
    }

    fn begin(&self, _client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
        Box::new(Self)
    }
}

impl AuthenticationExchange for Obedient {
    fn step(self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        let data = data.unwrap_or_default();
        let choice = data.first().copied().unwrap_or(0);
        let step = match choice % 4 {
            0 | 1 => AuthenticationStep::Accept {
                data: data.get(1..).map(<[u8]>::to_vec),
                user: None,
            },
            2 => AuthenticationStep::Continue {
                data: data.get(1..).map(<[u8]>::to_vec),
                next: self,
            },
            _ => AuthenticationStep::Refuse(AuthenticationRefusal::default()),
        };
        match choice / 4 % 4 {
            0 | 1 => Verdict::Ready(step),
            2 => Verdict::Pending(Box::pin(Slow(Some(step), choice / 16 % 4))),
            _ => Verdict::Pending(Box::pin(Slow(None, 0))),
        }
    }
}

impl Future for Slow {
    type Output = AuthenticationStep;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<AuthenticationStep> {
        if self.1 == 0 {
            return self.0.take().map_or(Poll::Pending, Poll::Ready);
        }
        self.1 -= 1;
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
