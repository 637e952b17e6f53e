// What a page does with the MQTT.js that it got from /mqtt.js: the course that ?run= names. What happens is
// reported with console.log(), an object of JSON on each line; what must not happen is thrown.

'use strict'

const VERSIONS = [
  ['3.1', { protocolId: 'MQIsdp', protocolVersion: 3 }],
  ['3.1.1', { protocolVersion: 4 }],
  ['5', { protocolVersion: 5 }]
]
const asked = new URLSearchParams(location.search)

/** Where this page came from, as a WebSocket sees it. */
const origin = location.origin.replace(/^http/, 'ws')
/** Without what MQTT.js does on its own when a connection fails, which hides failures. */
const once = { reconnectPeriod: 0 }

function say (event, fields) {
  console.log(JSON.stringify({ event, ...fields }))
}

function check (holds, what) {
  if (!holds) throw new Error(what)
}

function happened (client, event) {
  return new Promise((resolve, reject) => {
    client.once(event, (...what) => resolve(what))
    client.once('close', () => reject(new Error(`closed before ${event}`)))
  })
}

/** Publishes, and returns what comes of it: topic, payload, packet. */
async function roundTrip (client, topic, payload, qos) {
  const arrived = happened(client, 'message')
  await client.publishAsync(topic, payload, { qos })
  return arrived
}

/** Has the WebSocket recorded, and perhaps changed. */
function observed (record, change = () => {}) {
  return {
    createWebsocket (url, protocols) {
      const socket = new WebSocket(url, protocols)
      Object.assign(record, { url, sent: 0 })
      socket.addEventListener('open', () => {
        const { protocol: subprotocol, extensions } = socket
        Object.assign(record, { subprotocol, extensions })
      })
      const send = socket.send.bind(socket)
      socket.send = (frame) => {
        record.sent++
        send(frame)
      }
      change(socket)
      return socket
    }
  }
}

/** The way in which the page names the broker: an URL, nothing at all, or only that it wants TLS. */
function connect (way, options) {
  switch (way) {
    case 'url': return mqtt.connect(origin, options)
    case 'nothing': return options ? mqtt.connect(options) : mqtt.connect()
    case 'protocol': return mqtt.connect({ protocol: 'wss', ...options })
  }
  throw new Error(`there is no way ${way}`)
}

const courses = {
  /** Each version of the protocol, each quality of service. */
  async versions () {
    for (const [version, options] of VERSIONS) {
      const record = {}
      const client = connect(asked.get('way') ?? 'url', { ...once, ...options, ...observed(record) })
      await happened(client, 'connect')
      await client.subscribeAsync('page/#', { qos: 2 })
      const arrived = []
      for (const qos of [0, 1, 2]) {
        const [topic, payload, packet] = await roundTrip(client, `page/${qos}`, `at ${qos}`, qos)
        arrived.push([topic, payload.toString(), packet.qos])
      }
      await client.endAsync()
      const { url, subprotocol, extensions } = record
      say('version', { version, url, subprotocol, extensions, arrived })
    }
  },

  /** As in mosca's example of a page: no arguments at all. */
  async bare () {
    const client = connect(asked.get('way'))
    await happened(client, 'connect')
    await client.subscribeAsync('presence')
    const [topic, payload] = await roundTrip(client, 'presence', 'hello', 0)
    await client.endAsync()
    say('bare', { topic, payload: payload.toString() })
  },

  /** Bytes of every value, and more of them than a frame or a buffer holds. */
  async bytes () {
    const large = observed({}, (socket) => split(socket, 10_000))
    const client = connect('url', { ...once, protocolVersion: 5, ...large })
    await happened(client, 'connect')
    await client.subscribeAsync('bytes', { qos: 2 })
    for (const length of [0, 256, 65_536, 1 << 20]) {
      const sent = noise(length)
      const [, received, { qos }] = await roundTrip(client, 'bytes', sent, 2)
      check(received.length === length, `${received.length} bytes in place of ${length}`)
      check(received.every((byte, index) => byte === sent[index]), `of ${length} bytes one is another`)
      say('bytes', { length, qos })
    }
    await client.endAsync()
  },

  /** The same packets in frames of a few bytes each, and many packets in a frame. */
  async frames () {
    const ways = { split: (socket) => split(socket, 3), joined: join }
    for (const [way, change] of Object.entries(ways)) {
      const record = {}
      const client = connect('url', { ...once, ...observed(record, change) })
      await happened(client, 'connect')
      await client.subscribeAsync('frames', { qos: 2 })
      const numbers = []
      const all = new Promise((resolve) => {
        client.on('message', (topic, payload) => {
          numbers.push(Number(payload))
          if (numbers.length === 10) resolve()
        })
      })
      const sent = Array.from({ length: 10 }, (_, number) =>
        client.publishAsync('frames', String(number), { qos: 1 }))
      await Promise.all([...sent, all])
      await client.endAsync()
      say('frames', { way, numbers, frames: record.sent })
    }
  },

  /** A broker that goes and comes back, to a page that stays. MQTT.js subscribes again on its own. */
  async reconnect () {
    const client = connect('url', { reconnectPeriod: 100, protocolVersion: 5 })
    const next = (event) => new Promise((resolve) => client.once(event, resolve))
    client.on('disconnect', ({ reasonCode }) => say('disconnect', { reasonCode }))
    await happened(client, 'connect')
    await client.subscribeAsync('kept', { qos: 1 })
    await roundTrip(client, 'kept', 'before', 1)
    const closed = next('close')
    say('ready')
    await closed
    const back = next('connect')
    say('closed')
    await back
    const [, payload] = await roundTrip(client, 'kept', 'after', 1)
    say('back', { payload: payload.toString() })
    await client.endAsync()
  },

  /** A page that somebody leaves without a word. */
  async leave () {
    const will = { topic: 'wills/page', payload: 'gone', qos: 1 }
    await happened(connect('url', { ...once, will }), 'connect')
    say('ready')
    await new Promise(() => {})
  },

  /** A page that waits for that. */
  async stay () {
    const client = connect('url', once)
    await happened(client, 'connect')
    await client.subscribeAsync('wills/#', { qos: 1 })
    const left = happened(client, 'message')
    say('ready')
    const [topic, payload] = await left
    say('left', { topic, payload: payload.toString() })
    await client.endAsync()
  },

  /** Whether the browser is let in at these paths; it does not tell a page why not. */
  async door () {
    for (const path of asked.get('paths').split(',')) {
      const client = mqtt.connect(origin + path, once)
      const outcome = await happened(client, 'connect').then(() => 'connected', () => 'refused')
      client.end(true)
      say('door', { path, outcome })
    }
  }
}

/** All byte values, and no period that a lost or doubled block could hide in (xorshift). */
function noise (length) {
  let state = 0x2545f491
  return Uint8Array.from({ length }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  })
}

/** Sends each piece in frames of so many bytes, which end in the middle of headers and of numbers. */
function split (socket, size) {
  const send = socket.send.bind(socket)
  socket.send = (piece) => {
    for (let at = 0; at < piece.length; at += size) send(piece.slice(at, at + size))
  }
}

/** Sends what comes within a tenth of a second in one frame. */
function join (socket) {
  const send = socket.send.bind(socket)
  let pieces = []
  socket.send = (piece) => {
    pieces.push(...piece)
    if (pieces.length > piece.length) return
    setTimeout(() => {
      if (socket.readyState === WebSocket.OPEN) send(Uint8Array.from(pieces))
      pieces = []
    }, 100)
  }
}

courses[asked.get('run')]().then(() => say('done'))
