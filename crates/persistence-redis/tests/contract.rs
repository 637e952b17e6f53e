//! The store in Redis keeps what every store promises, on a real server.

mod place;

use core::future::Future;

use broker_core::persistence::contract::{Factory, Scale};
use persistence_redis::RedisPersistence;
use place::{Place, SERVER, connect, runtime};

struct Redis;

impl Factory for Redis {
    type Place = Place;
    type Store = RedisPersistence;

    fn scale(&self) -> Scale {
        match test_servers::at_full_scale() {
            true => Scale::FULL,
            false => Scale::SERVER,
        }
    }

    fn create(&self) -> Place {
        Place::new(&SERVER)
    }

    fn open(&self, place: &Place) -> RedisPersistence {
        connect(place.options())
    }

    fn try_open(&self, place: &Place) -> Result<RedisPersistence, String> {
        let store = runtime().block_on(RedisPersistence::connect(place.options()));
        store.map_err(|error| error.to_string())
    }

    fn spoil_version(&self, place: &Place, version: u32) -> Option<u32> {
        let format = format!("mosca {version}");
        SERVER.command(&["SET", &place.key("format"), &format]);
        Some(1)
    }

    /// A server that is killed is a test of its own: the others share this one.
    fn crash_image(&self, _: &Place) -> Option<Place> {
        None
    }

    fn stored_message_bytes(&self, place: &Place, _: &RedisPersistence) -> Option<u64> {
        Some(place.message_bytes())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        runtime().block_on(future)
    }
}

broker_core::persistence_contract!(Redis);
