// One MQTT connection of MQTT.js, driven by arguments, reported as JSON lines.
//
//   sub --port N --version V --id ID --filter F --qos Q [--keep] [--resume] [--websocket] [--aliases N]
//       [--will-topic T --will-payload P --will-qos Q [--will-retain]]
//   pub --port N --version V --id ID --topic T --qos Q [--retain] [--websocket]
//       [--empty | --file PATH] [--properties JSON] [--aliases N]
//
// With --ca FILE both talk over TLS, to a server whose certificate that authority has issued.
//
// It means the same as in paho_client.py, where it is explained.

'use strict'

const fs = require('node:fs')
const { parseArgs } = require('node:util')
const mqtt = require('mqtt')

const VERSIONS = {
  '3.1': { protocolId: 'MQIsdp', protocolVersion: 3 },
  '3.1.1': { protocolId: 'MQTT', protocolVersion: 4 },
  5: { protocolId: 'MQTT', protocolVersion: 5 }
}

const text = { type: 'string' }
const flag = { type: 'boolean', default: false }
const { values: options, positionals: [what] } = parseArgs({
  allowPositionals: true,
  options: {
    port: text,
    version: text,
    id: text,
    filter: text,
    topic: text,
    qos: text,
    keep: flag,
    resume: flag,
    websocket: flag,
    ca: text,
    'will-topic': text,
    'will-payload': text,
    'will-qos': text,
    'will-retain': flag,
    retain: flag,
    empty: flag,
    file: text,
    properties: text,
    aliases: text
  }
})
const qos = Number(options.qos)

function say (event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

function fail (message) {
  process.stderr.write(message + '\n')
  process.exit(1)
}

function propertiesToSend () {
  if (!options.properties) return undefined
  const wanted = JSON.parse(options.properties)
  const userProperties = {}
  for (const [name, value] of wanted.userProperties ?? []) {
    userProperties[name] = [...(userProperties[name] ?? []), value]
  }
  return {
    payloadFormatIndicator: wanted.payloadFormat === 1,
    messageExpiryInterval: wanted.messageExpiry,
    contentType: wanted.contentType,
    responseTopic: wanted.responseTopic,
    correlationData: Buffer.from(wanted.correlationData),
    userProperties
  }
}

function propertiesReceived (properties = {}) {
  const format = properties.payloadFormatIndicator
  const pairs = Object.entries(properties.userProperties ?? {})
    .flatMap(([name, values]) => [values].flat().map((value) => [name, value]))
  return {
    payloadFormat: format === undefined ? undefined : Number(format),
    messageExpiry: properties.messageExpiryInterval,
    contentType: properties.contentType,
    responseTopic: properties.responseTopic,
    correlationData: properties.correlationData?.toString(),
    userProperties: pairs.length > 0 ? pairs : undefined
  }
}

function propertiesOfConnect () {
  const properties = {}
  if (options.keep) properties.sessionExpiryInterval = 3600
  if (what === 'sub' && options.aliases) properties.topicAliasMaximum = Number(options.aliases)
  return properties
}

function connect () {
  const isV5 = options.version === '5'
  const will = options['will-topic'] && {
    topic: options['will-topic'],
    payload: Buffer.from(options['will-payload']),
    qos: Number(options['will-qos'] ?? 0),
    retain: options['will-retain']
  }
  const client = mqtt.connect({
    protocol: (options.websocket ? 'ws' : 'mqtt') + (options.ca ? 's' : ''),
    host: options.ca ? 'localhost' : '127.0.0.1',
    ca: options.ca ? fs.readFileSync(options.ca) : undefined,
    port: Number(options.port),
    ...VERSIONS[options.version],
    clientId: options.id,
    clean: !options.keep,
    will: will || undefined,
    properties: isV5 ? propertiesOfConnect() : undefined,
    autoAssignTopicAlias: what === 'pub' && options.aliases !== undefined,
    keepalive: 60,
    reconnectPeriod: 0,
    resubscribe: false
  })
  client.on('error', (error) => fail(String(error)))
  return client
}

function subscribe () {
  const client = connect()
  let reason = null
  let stopped = false
  client.on('connect', (connack) => {
    say('connected', { sessionPresent: connack.sessionPresent })
    if (options.resume) return
    client.subscribe(options.filter, { qos }, (error, granted) => {
      if (error) fail(String(error))
      say('subscribed', { granted: granted.map((one) => one.qos) })
    })
  })
  client.on('message', (topic, payload, packet) => {
    say('message', {
      topic,
      qos: packet.qos,
      retain: packet.retain,
      payload: payload.toString('hex'),
      topicAlias: packet.properties?.topicAlias,
      properties: propertiesReceived(packet.properties)
    })
  })
  client.on('disconnect', (packet) => { reason = packet.reasonCode })
  client.on('close', () => {
    if (!stopped) say('disconnected', { reason })
  })
  process.on('SIGTERM', () => {
    stopped = true
    client.end()
  })
}

function payloads () {
  if (options.empty) return [Buffer.alloc(0)]
  if (options.file) return [fs.readFileSync(options.file)]
  return fs.readFileSync(0, 'utf8').split('\n').slice(0, -1)
}

function publish () {
  const messages = payloads()
  const client = connect()
  let unnamed = 0
  client.on('packetsend', (packet) => {
    if (packet.cmd === 'publish' && packet.topic === '') unnamed++
  })
  client.on('connect', async () => {
    const properties = propertiesToSend()
    const sent = messages.map((payload) =>
      client.publishAsync(options.topic, payload, { qos, retain: options.retain, properties }))
    await Promise.all(sent)
    await client.endAsync()
    if (options.aliases && unnamed === 0) fail('each message had its topic name')
  })
}

if (what === 'sub') subscribe()
else if (what === 'pub') publish()
else fail(`neither sub nor pub: ${what}`)
