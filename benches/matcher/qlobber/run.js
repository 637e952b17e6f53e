'use strict'
// qlobber, the matcher of mosca and aedes, on the files that `export` writes:
//   node --expose-gc run.js <directory with filters.txt and topics.txt>
const { readFileSync } = require('fs')
const { join } = require('path')
const { Qlobber } = require('qlobber')

const lines = (file) => readFileSync(join(process.argv[2], file), 'utf8').trimEnd().split('\n')
const filters = lines('filters.txt').map((line) => {
  const [key, text] = line.split('\t')
  return { key: Number(key), text }
})
const topics = lines('topics.txt')
const textBytes = filters.reduce((sum, { text }) => sum + text.length, 0)
const now = () => Number(process.hrtime.bigint())
const memory = () => {
  global.gc()
  return process.memoryUsage()
}

const before = memory()
const matcher = new Qlobber({
  separator: '/',
  wildcard_one: '+',
  wildcard_some: '#',
  match_empty_levels: true
})
let start = now()
for (const { key, text } of filters) matcher.add(text, key)
const insert = (now() - start) / filters.length
const after = memory()

let best = Infinity
let hits = 0
for (let round = 0; round < 7; round++) {
  hits = 0
  start = now()
  for (const topic of topics) hits += matcher.match(topic).length
  best = Math.min(best, (now() - start) / topics.length)
}

start = now()
for (const { key, text } of filters) matcher.remove(text, key)
const remove = (now() - start) / filters.length

console.log(
  `qlobber ${filters.length} filters: match ${best.toFixed(0)} ns ` +
  `(${(hits / topics.length).toFixed(1)} hits), insert ${insert.toFixed(0)} ns, ` +
  `remove ${remove.toFixed(0)} ns, beyond text ` +
  `${((after.heapUsed - before.heapUsed - textBytes) / filters.length).toFixed(1)} B heap ` +
  `${((after.rss - before.rss - textBytes) / filters.length).toFixed(1)} B resident`
)
