//! Clients by scenarios: one test per cell, so that a failure names both.

use crate::client::{Client, Maker, Transport, Version};
use crate::scenarios::{
    across, aliases, delivery, large, properties, retained, session, shutdown, will,
};

macro_rules! column {
    ($column:ident: $maker:ident, $version:ident, $transport:ident;
        $($scenario:path as $test:ident,)*) => {
        mod $column {
            use super::*;

            const CLIENT: Client = Client {
                maker: Maker::$maker,
                version: Version::$version,
                transport: Transport::$transport,
            };

            $(
                #[test]
                fn $test() {
                    $scenario(CLIENT);
                }
            )*
        }
    };
}

macro_rules! matrix {
    ($($column:ident: $maker:ident, $version:ident, $transport:ident $(, plus $more:tt)?;)*) => {
        $(matrix!(@ $column: $maker, $version, $transport; $($more)?);)*
    };
    (@ $column:ident: $maker:ident, $version:ident, $transport:ident;
        $({$($more:path as $test:ident,)*})?) => {
        column! {
            $column: $maker, $version, $transport;
            delivery::at_qos_0 as qos_0_arrives_in_order,
            delivery::at_qos_1 as qos_1_arrives_in_order,
            delivery::at_qos_2 as qos_2_arrives_exactly_once_in_order,
            delivery::at_the_lower_qos as the_lower_qos_of_publisher_and_subscription_holds,
            large::one_mebibyte as one_mebibyte_arrives_as_it_was_sent,
            retained::before_and_after as retained_messages_come_before_and_after_subscribing,
            retained::deleted as an_empty_payload_deletes_a_retained_message,
            will::after_death as a_dead_client_leaves_its_will,
            will::retained_after_death as a_will_may_be_retained,
            will::not_after_disconnect as a_client_that_disconnects_leaves_no_will,
            session::offline_at_qos_1 as offline_messages_of_qos_1_wait_in_order,
            session::offline_at_qos_2 as offline_messages_of_qos_2_wait_in_order,
            session::forgotten as a_clean_session_forgets_what_waited,
            session::taken_over as a_second_client_of_the_same_id_takes_over,
            shutdown::on_terminate as the_broker_says_goodbye,
            $($($more as $test,)*)?
        }
    };
}

matrix! {
    mosquitto_3_1: Mosquitto, V3_1, Tcp;
    mosquitto_3_1_1: Mosquitto, V3_1_1, Tcp;
    mosquitto_5: Mosquitto, V5, Tcp, plus {
        properties::pass_through as properties_pass_through,
        will::on_request as a_client_may_leave_and_ask_for_its_will,
    };
    mqttjs_3_1: MqttJs, V3_1, Tcp;
    mqttjs_3_1_1: MqttJs, V3_1_1, Tcp;
    mqttjs_5: MqttJs, V5, Tcp, plus {
        properties::pass_through as properties_pass_through,
        aliases::both_ways as aliases_stand_for_topics_both_ways,
    };
    paho_3_1: Paho, V3_1, Tcp;
    paho_3_1_1: Paho, V3_1_1, Tcp;
    paho_5: Paho, V5, Tcp, plus {
        properties::pass_through as properties_pass_through,
        aliases::both_ways as aliases_stand_for_topics_both_ways,
    };
    // The first of them asks for the subprotocol of old, the others for today's.
    mqttjs_3_1_websocket: MqttJs, V3_1, WebSocket;
    mqttjs_5_websocket: MqttJs, V5, WebSocket;
    paho_3_1_1_websocket: Paho, V3_1_1, WebSocket;
}

/// Every column of the matrix over TCP, for scenarios with more than one kind of client.
pub const ALL: [Client; 9] = {
    use Maker::{Mosquitto, MqttJs, Paho};
    use Version::{V3_1, V3_1_1, V5};
    const fn client(maker: Maker, version: Version) -> Client {
        Client {
            maker,
            version,
            transport: Transport::Tcp,
        }
    }
    [
        client(Mosquitto, V3_1),
        client(Mosquitto, V3_1_1),
        client(Mosquitto, V5),
        client(MqttJs, V3_1),
        client(MqttJs, V3_1_1),
        client(MqttJs, V5),
        client(Paho, V3_1),
        client(Paho, V3_1_1),
        client(Paho, V5),
    ]
};

#[test]
fn every_client_hears_every_other() {
    across::every_client_hears_every_other();
}

#[test]
fn properties_do_not_reach_clients_that_have_none() {
    across::properties_do_not_reach_clients_that_have_none();
}

#[test]
fn mosquitto_sub_hears_mosquitto_pub_in_either_order() {
    across::mosquitto_sub_hears_mosquitto_pub_in_either_order();
}
