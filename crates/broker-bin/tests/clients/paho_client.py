"""One MQTT connection of paho-mqtt, driven by arguments, reported as JSON lines.

  sub --port N --version V --id ID --filter F --qos Q [--keep] [--resume] [--websocket] [--aliases N]
      [--will-topic T --will-payload P --will-qos Q [--will-retain]]
  pub --port N --version V --id ID --topic T --qos Q [--retain] [--websocket]
      [--empty | --file PATH] [--properties JSON] [--aliases N]

`sub` says `connected`, `subscribed`, one `message` each, and `disconnected` if the other side ends
the connection; SIGTERM makes it disconnect cleanly. `--keep` keeps the session, `--resume` expects
the one that was kept and does not subscribe again. `pub` sends each line of its input as a message
(or a file, or an empty payload) and ends when all are acknowledged. It never connects twice.
`--aliases` has `sub` take topic aliases up to this one, and `pub` name its topic by alias 1.
"""

import argparse
import json
import os
import signal
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE_SECONDS = 30
VERSIONS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}
# Our names for the properties of a PUBLISH, and paho's.
PROPERTIES = {
    "payloadFormat": "PayloadFormatIndicator",
    "messageExpiry": "MessageExpiryInterval",
    "contentType": "ContentType",
    "responseTopic": "ResponseTopic",
    "correlationData": "CorrelationData",
    "userProperties": "UserProperty",
}


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["sub", "pub"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", choices=VERSIONS, required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--filter")
    parser.add_argument("--topic")
    parser.add_argument("--qos", type=int, required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--websocket", action="store_true")
    parser.add_argument("--will-topic")
    parser.add_argument("--will-payload")
    parser.add_argument("--will-qos", type=int, default=0)
    parser.add_argument("--will-retain", action="store_true")
    parser.add_argument("--retain", action="store_true")
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--file")
    parser.add_argument("--properties", type=json.loads)
    parser.add_argument("--aliases", type=int)
    return parser.parse_args()


def properties_to_send(wanted):
    if wanted is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in wanted.items():
        if name == "correlationData":
            value = value.encode()
        if name == "userProperties":
            value = [tuple(pair) for pair in value]
        setattr(properties, PROPERTIES[name], value)
    return properties


def with_alias(properties):
    properties = properties or Properties(PacketTypes.PUBLISH)
    properties.TopicAlias = 1
    return properties


def properties_received(properties):
    found = {}
    for name, theirs in PROPERTIES.items():
        value = getattr(properties, theirs, None)
        if name == "correlationData" and value is not None:
            value = value.decode()
        if name == "userProperties" and value is not None:
            value = [list(pair) for pair in value]
        if value is not None:
            found[name] = value
    return found


class Connection:
    def __init__(self, options):
        self.options = options
        self.is_v5 = options.version == "5"
        self.connected = threading.Event()
        self.over = threading.Event()
        self.refusal = None
        # What topic aliases stand for: paho leaves that to its users.
        self.topics = {}
        session = {} if self.is_v5 else {"clean_session": not options.keep}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=options.id,
            protocol=VERSIONS[options.version],
            transport="websockets" if options.websocket else "tcp",
            reconnect_on_failure=False,
            **session,
        )
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = self.on_subscribe
        self.client.on_message = self.on_message
        self.client.on_disconnect = self.on_disconnect
        if options.will_topic:
            self.client.will_set(
                options.will_topic, options.will_payload, options.will_qos, options.will_retain
            )

    def open(self):
        session = {}
        if self.is_v5:
            session["clean_start"] = not self.options.keep
            session["properties"] = Properties(PacketTypes.CONNECT)
        if self.is_v5 and self.options.keep:
            session["properties"].SessionExpiryInterval = 3600
        if self.is_v5 and self.options.what == "sub" and self.options.aliases:
            session["properties"].TopicAliasMaximum = self.options.aliases
        self.client.connect("127.0.0.1", self.options.port, keepalive=60, **session)
        self.client.loop_start()
        if not self.connected.wait(PATIENCE_SECONDS) or self.refusal:
            sys.exit(f"no connection: {self.refusal or 'no CONNACK'}")

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def on_connect(self, client, _data, flags, reason, _properties):
        if reason.is_failure:
            self.refusal = str(reason)
        else:
            say("connected", sessionPresent=flags.session_present)
        self.connected.set()
        if self.options.what == "sub" and not self.options.resume and not reason.is_failure:
            client.subscribe(self.options.filter, self.options.qos)

    def on_subscribe(self, _client, _data, _mid, reasons, _properties):
        say("subscribed", granted=[reason.value for reason in reasons])

    def on_message(self, _client, _data, message):
        topic = message.topic
        alias = getattr(message.properties, "TopicAlias", None)
        if alias is not None:
            topic = self.topics[alias] = topic or self.topics[alias]
        say(
            "message",
            topic=topic,
            topicAlias=alias,
            qos=message.qos,
            retain=bool(message.retain),
            payload=message.payload.hex(),
            properties=properties_received(message.properties),
        )

    def on_disconnect(self, client, _data, flags, _reason, _properties):
        reason = None
        if flags.is_disconnect_packet_from_server:
            # paho-mqtt 2.1.0 looks for the reason code only in a DISCONNECT of three bytes and
            # more, and reports 0 for all others. It is the first byte, and 0 if there is none.
            reason = next(iter(client._in_packet["packet"]), 0)
        if not self.over.is_set():
            say("disconnected", reason=reason)
            if self.options.what == "sub":
                os.kill(os.getpid(), signal.SIGTERM)
        self.over.set()


def subscribe(connection):
    # Blocked in every thread, so that it waits until it is asked for.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    connection.open()
    signal.sigwait({signal.SIGTERM})
    connection.over.set()
    connection.close()


def publish(connection, options):
    if options.empty:
        payloads = [b""]
    elif options.file:
        with open(options.file, "rb") as file:
            payloads = [file.read()]
    else:
        payloads = sys.stdin.buffer.read().splitlines()
    connection.open()
    properties = properties_to_send(options.properties)
    if options.aliases:
        properties = with_alias(properties)
    topics = [options.topic] + ["" if options.aliases else options.topic] * (len(payloads) - 1)
    sent = [
        connection.client.publish(topic, payload, options.qos, options.retain, properties)
        for topic, payload in zip(topics, payloads)
    ]
    for info in sent:
        info.wait_for_publish(PATIENCE_SECONDS)
        if not info.is_published():
            sys.exit("a message was not acknowledged")
    connection.over.set()
    connection.close()


def main():
    options = arguments()
    connection = Connection(options)
    if options.what == "sub":
        subscribe(connection)
    else:
        publish(connection, options)


main()
