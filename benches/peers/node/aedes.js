// Starts aedes over a store: `node aedes.js PORT redis://… | mongodb://…`. Its modules are found by
// NODE_PATH.
'use strict'

const { createServer } = require('node:net')

async function start (port, url) {
  const { Aedes } = require('aedes')
  const persistence = url.startsWith('redis:')
    // By default a client that returns gets a thousand of its messages, and never the others.
    ? require('aedes-persistence-redis')({ ...address(url), maxSessionDelivery: 10_000_000 })
    : require('aedes-persistence-mongodb')({ url })
  const broker = await Aedes.createBroker({ persistence })
  createServer(broker.handle).listen(port, '127.0.0.1')
}

function address (url) {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

const [port, url] = process.argv.slice(2)
start(Number(port), url).catch((error) => {
  console.error(error)
  process.exit(1)
})
