// Made the folder `mosca-2.3.0` beside it:
//
//   npm install mosca@2.3.0 jsonschema@1.1.1 leveldown@6.1.1 && node generate.js FOLDER
//
// Some of it ends in a table of LevelDB, compressed, and the rest in its log, with what was deleted and written again.

'use strict'

const leveldown = require('leveldown')
const mosca = require('mosca')
const mqtt = require('mqtt')

const folder = process.argv[2]
const PORT = 18777
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const happened = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve))

async function serve (work) {
  const server = new mosca.Server({
    id: 'old',
    port: PORT,
    host: '127.0.0.1',
    stats: false,
    persistence: { factory: mosca.persistence.LevelUp, path: folder, db: leveldown }
  })
  await happened(server, 'ready')
  await work(server)
  await pause(300)
  await new Promise((resolve) => server.close(resolve))
}

async function connected (options, work) {
  const client = mqtt.connect(`mqtt://127.0.0.1:${PORT}`, options)
  await happened(client, 'connect')
  await work(client)
  client.end()
  await pause(300)
}

function session (clientId, filters) {
  return connected({ clientId, clean: false }, async (client) => {
    for (const [topic, qos] of Object.entries(filters)) {
      await new Promise((resolve) => client.subscribe(topic, { qos }, resolve))
    }
  })
}

function publish (client, topic, payload, options) {
  return new Promise((resolve) => client.publish(topic, payload, options, resolve))
}

/** Has LevelDB write all it has into tables. */
async function compact () {
  const db = leveldown(folder)
  await new Promise((resolve) => db.open({}, resolve))
  await new Promise((resolve) => db.compactRange('', '\xFF\xFF', resolve))
  await new Promise((resolve) => db.close(resolve))
}

async function main () {
  const [q0, q1] = [{ qos: 0 }, { qos: 1 }]
  await serve(async () => {
    await session('sensor', { 'a/#': 1, b: 0 })
    await session('sensor:7', { 'a/+': 1 })
    await session('idle', { never: 1 })
    await connected({ clientId: 'publisher' }, async (client) => {
      // In one go, so that several are stored in one millisecond.
      const numbers = [...Array(25).keys()]
      await Promise.all(numbers.map((number) => publish(client, 'a/n', `message ${number}`, q1)))
      await publish(client, 'a/long', 'x'.repeat(20000), q1)
      await publish(client, 'r/gone', 'gone', { qos: 1, retain: true })
      await publish(client, 'r/changed', 'before', { qos: 1, retain: true })
      await publish(client, 'r/kept', Buffer.from([0, 1, 2, 255]), { qos: 0, retain: true })
    })
  })
  await compact()
  await serve(async (server) => {
    await session('late', { c: 1 })
    await connected({ clientId: 'publisher' }, async (client) => {
      await publish(client, 'r/gone', '', { qos: 1, retain: true })
      await publish(client, 'r/changed', 'after', { qos: 1, retain: true })
      await publish(client, 'a/bytes', Buffer.from([0, 255, 128, 10]), q1)
      await publish(client, 'c', 'ü', q1)
      await publish(client, 'b', 'for nobody', q0)
    })
    const text = { topic: 'r/text', payload: 'text', qos: 1, retain: true }
    await new Promise((resolve) => server.publish(text, resolve))
  })
}

main()
