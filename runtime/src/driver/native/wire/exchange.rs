//! One request, from the queue to the head of its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tonic::body::Body as RequestBody;

use super::body::Body;
use super::driver::Driver;
use super::held::Held;
use super::seat::Seat;
use super::seats::Role;
use super::upload::{More, Upload};
use super::{Hold, WireError};
use crate::driver::native::output::Task;

/// A request on its way. Dropping it resets the stream.
pub(in crate::driver::native) struct Exchange {
    /// Left first: what the rest does while it is dropped is for others to drive.
    seat: Seat,
    stage: Stage,
    upload: Option<Task>,
    /// For as long as there is something to send, there is a connection.
    _hold: Arc<Hold>,
}

enum Stage {
    Fresh(
        Box<http::Request<RequestBody>>,
        Option<OwnedSemaphorePermit>,
    ),
    Queued(oneshot::Receiver<Result<Opened, WireError>>),
    Open(Held<ResponseFuture>),
    Done,
}

impl Exchange {
    pub(super) fn new(
        hold: Arc<Hold>,
        request: http::Request<RequestBody>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            seat: Seat::new(Arc::clone(hold.driver()), Role::Driver),
            stage: Stage::Fresh(Box::new(request), place),
            upload: None,
            _hold: hold,
        }
    }

    /// Queues the request with what there is of its body.
    fn begin(
        &mut self,
        request: http::Request<RequestBody>,
        place: Option<OwnedSemaphorePermit>,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let (head, body) = request.into_parts();
        // Without a place the connection had ended when one was asked for.
        let place = place.ok_or(WireError::NeverSent)?;
        let upload = Upload::of(body, context).map_err(|_| WireError::unfinished())?;
        let (answer, opened) = oneshot::channel();
        let queued = Queued {
            head: http::Request::from_parts(head, ()),
            upload,
            place,
            answer,
            driver: Arc::clone(self.seat.driver()),
        };
        self.stage = Stage::Queued(opened);
        self.seat.ask(queued, context.waker());
        Ok(())
    }

    fn open(&mut self, opened: Opened) {
        self.stage = Stage::Open(opened.response);
        self.upload = opened
            .rest
            .map(|(stream, more)| Task::spawn(more.send(stream)));
    }

    /// The head is here; the body goes on without this seat.
    fn answer(&mut self, head: http::Response<h2::RecvStream>) -> http::Response<Body> {
        let response = std::mem::replace(&mut self.stage, Stage::Done);
        let answer = head.map(|stream| {
            let stream = Held::new(stream, self.seat.driver());
            Body::new(stream, self.upload.take(), &self.seat)
        });
        drop(response);
        answer
    }
}

impl Future for Exchange {
    type Output = Result<http::Response<Body>, WireError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match std::mem::replace(&mut this.stage, Stage::Done) {
            Stage::Fresh(request, place) => this.begin(*request, place, context)?,
            stage => {
                this.stage = stage;
                this.seat.drive(context.waker());
            }
        }
        if let Stage::Queued(opened) = &mut this.stage {
            let opened = ready!(Pin::new(opened).poll(context));
            this.stage = Stage::Done;
            this.open(opened.map_err(|_| WireError::NeverSent)??);
        }
        let Stage::Open(response) = &mut this.stage else {
            return Poll::Pending;
        };
        let waker = this.seat.waker();
        let mut context = Context::from_waker(&waker);
        let head = ready!(Pin::new(response.get()?).poll(&mut context));
        Poll::Ready(
            head.map(|head| this.answer(head))
                .map_err(WireError::broken),
        )
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Stage::Queued(opened) = &mut self.stage {
            opened.close();
            self.seat.driver().forget_cancelled();
        }
    }
}

/// A request that h2 has not been given yet. Dropping it says that it never left.
pub(super) struct Queued {
    head: http::Request<()>,
    upload: Upload,
    place: OwnedSemaphorePermit,
    answer: oneshot::Sender<Result<Opened, WireError>>,
    driver: Arc<Driver>,
}

/// A request that h2 has.
struct Opened {
    response: Held<ResponseFuture>,
    /// What is left of its body.
    rest: Option<(Held<SendStream<Bytes>>, More)>,
}

impl Queued {
    pub(super) fn is_cancelled(&self) -> bool {
        self.answer.is_closed()
    }

    /// Gives it to h2, and its place to whoever knows when its stream is open. `None` if h2 did not take it.
    pub(super) fn send(self, sender: &mut SendRequest<Bytes>) -> Option<OwnedSemaphorePermit> {
        if self.is_cancelled() {
            return None;
        }
        let Upload { first, more } = self.upload;
        let ends = more.is_none();
        let (response, stream) = sender
            .send_request(self.head, ends && first.is_empty())
            .ok()?;
        let response = Held::new(response, &self.driver);
        let mut stream = Held::new(stream, &self.driver);
        let sent = match first.is_empty() {
            true => Ok(()),
            false => stream
                .get()
                .and_then(|stream| stream.send_data(first, ends).map_err(WireError::broken)),
        };
        let opened = sent.map(|()| Opened {
            response,
            rest: more.map(|more| (stream, more)),
        });
        // Whoever waits no longer has dropped the stream with this.
        let _ = self.answer.send(opened);
        Some(self.place)
    }
}
