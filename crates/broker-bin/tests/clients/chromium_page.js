// One page in a real Chromium, without a window.
//
//   --chromium PATH --profile FOLDER --url URL [--trust CERTIFICATE] [--map RULE]... [--watch]
//
// What the page writes with console.log() goes to stdout, everything that went wrong to stderr. It stays
// until it gets SIGTERM.
//
// --trust names a server's certificate (PEM): that one key is taken, whoever signed for it, and no other. A
// RULE is "NAME:PORT ADDRESS:PORT": who asks for the one gets the other. No other host is ever looked for.
// With --watch, stdout also has what the page shows, each time that changes.
//
// It speaks Chromium's own protocol over the pipe that Chromium has for that (file descriptors 3 and 4,
// JSON with a zero byte behind each message), so it needs no package and fits every version.

'use strict'

const crypto = require('node:crypto')
const fs = require('node:fs')
const { spawn } = require('node:child_process')
const { parseArgs } = require('node:util')

const text = { type: 'string' }
const { values: options } = parseArgs({
  options: {
    chromium: text,
    profile: text,
    url: text,
    trust: text,
    map: { type: 'string', multiple: true, default: [] },
    watch: { type: 'boolean' }
  }
})

// As Chromium wants it: base64 of the SHA-256 of what X.509 calls SubjectPublicKeyInfo.
function fingerprint (file) {
  const { publicKey } = new crypto.X509Certificate(fs.readFileSync(file))
  const info = publicKey.export({ type: 'spki', format: 'der' })
  return crypto.createHash('sha256').update(info).digest('base64')
}

function flags () {
  const rules = [
    ...options.map.map((rule) => `MAP ${rule}`),
    'MAP * ~NOTFOUND',
    'EXCLUDE localhost',
    'EXCLUDE 127.0.0.1'
  ]
  return [
    '--headless',
    '--remote-debugging-pipe',
    `--user-data-dir=${options.profile}`,
    `--host-resolver-rules=${rules.join(', ')}`,
    // Its sandbox refuses to be started by root, who is who runs in containers.
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    ...(options.trust ? [`--ignore-certificate-errors-spki-list=${fingerprint(options.trust)}`] : []),
    // Containers have little shared memory and no GPU.
    '--disable-dev-shm-usage',
    '--disable-gpu',
    // Nothing but what the page does.
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-default-apps',
    '--disable-extensions',
    '--disable-sync',
    '--no-first-run',
    '--no-default-browser-check',
    '--no-startup-window'
  ]
}

const chromium = spawn(options.chromium, flags(), {
  stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe']
})
const [,, complaints, commands, answers] = chromium.stdio
let last = 0
const waiting = new Map()
/** With what we end when Chromium has ended; nothing as long as it should not. */
let status = null

// It has much to say about a machine without a desktop, which matters only if it ends on its own.
let complained = ''
complaints.on('data', (data) => { complained = (complained + data).slice(-4096) })
chromium.on('error', (error) => {
  process.stderr.write(`${error}; \`cargo xtask tools\` installs Chromium\n`)
  process.exit(1)
})
chromium.on('exit', (code, signal) => {
  if (status === null) process.stderr.write(`Chromium ended: ${code ?? signal}\n${complained}`)
  process.exit(status ?? 1)
})

// Who started us may remove the profile when we have ended, so Chromium ends first.
function leave (code) {
  if (status === null) call('Browser.close')
  status ??= code
}

function fail (message) {
  process.stderr.write(message + '\n')
  leave(1)
}

process.on('SIGTERM', () => leave(0))
// Chromium ends when its pipe is closed, so it goes with us, however we go; and we go with who started us.
commands.on('error', () => {})
const parent = process.ppid
setInterval(() => { if (process.ppid !== parent) process.exit(1) }, 1000).unref()

function call (method, params = {}, sessionId = undefined) {
  const id = ++last
  commands.write(JSON.stringify({ id, method, params, sessionId }) + '\0')
  return new Promise((resolve) => {
    waiting.set(id, ({ result, error }) => {
      if (error) fail(`${method}: ${error.message}`)
      else resolve(result)
    })
  })
}

function happened ({ method, params }) {
  switch (method) {
    case 'Runtime.consoleAPICalled': {
      const words = params.args.map((arg) => arg.value ?? arg.description).join(' ')
      const output = params.type === 'log' ? process.stdout : process.stderr
      output.write(words + '\n')
      break
    }
    case 'Runtime.exceptionThrown': {
      const { text, exception } = params.exceptionDetails
      process.stderr.write(`${text} ${exception?.description ?? ''}\n`)
      break
    }
    case 'Log.entryAdded':
      process.stderr.write(`${params.entry.level}: ${params.entry.text}\n`)
      break
    case 'Inspector.targetCrashed':
      fail('the page crashed')
  }
}

let unread = []
answers.on('data', (data) => {
  for (let end; (end = data.indexOf(0)) >= 0; data = data.subarray(end + 1)) {
    const message = JSON.parse(Buffer.concat([...unread, data.subarray(0, end)]))
    unread = []
    const answered = waiting.get(message.id)
    waiting.delete(message.id)
    if (answered) answered(message)
    else happened(message)
  }
  unread.push(data)
})

const WATCH = `
  new MutationObserver(() => {
    console.log(JSON.stringify({ event: 'shows', text: document.body?.innerText ?? '' }))
  }).observe(document, { childList: true, characterData: true, subtree: true })
`

async function open () {
  const { targetId } = await call('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true })
  await call('Runtime.enable', {}, sessionId)
  await call('Log.enable', {}, sessionId)
  await call('Inspector.enable', {}, sessionId)
  if (options.watch) {
    await call('Page.enable', {}, sessionId)
    await call('Page.addScriptToEvaluateOnNewDocument', { source: WATCH }, sessionId)
  }
  const { errorText } = await call('Page.navigate', { url: options.url }, sessionId)
  if (errorText) fail(`${options.url}: ${errorText}`)
}

open()
