// Writes cases.jsonl: what minimatch 3.0 says of patterns and topics, one [pattern, topic, answer] a line.
//
//   npm install --no-save minimatch@3.0.4 && node generate.js > cases.jsonl
//
// The cases are drawn with a fixed seed: running it again writes the same file.
'use strict'

const minimatch = require('minimatch')

let state = 0x9e3779b9
function below (bound) {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % bound
}
const pick = list => list[below(list.length)]
const several = (most, make) => Array.from({ length: 1 + below(most) }, make)

const NAMES = ['a', 'b', 'ab', 'abc', '.x', '', '$s', '+', '#', 'a.b', 'b]', 'x)', '-', 'A']
const CLASSES = ['[ab]', '[a-c]', '[!a]', '[^a]', '[!a-b]', '[c-a]', '[a', '[]', '[]a]', '[a-]', '[.x]', '[\\]a]', '[$]', '[!]']

function group (depth) {
  const inner = several(3, () => several(2, () => atom(depth - 1)).join('')).join('|')
  return pick(['@', '?', '*', '+']) + '(' + inner + ')'
}

function atom (depth) {
  switch (below(depth > 0 ? 12 : 10)) {
    case 0: case 1: case 2: return pick(['a', 'b', 'c', 'x', 'A'])
    case 3: return '*'
    case 4: return '?'
    case 5: return pick(CLASSES)
    case 6: return pick(['.', '.x', '-', '$', '+', '#'])
    case 7: return pick(['\\*', '\\?', '\\a', '\\\\', '\\[', '\\{', '\\('])
    case 8: return pick(['(', ')', '|', ']', '!', '@', 'a|b', '+(a', '*(b|', '^'])
    case 9: return pick(['a', 'b'])
    default: return group(depth)
  }
}

function level () {
  switch (below(14)) {
    case 0: case 1: return '*'
    case 2: case 3: return '**'
    case 4: return pick(['', '***', '.*', '.', '!(a)', '!(a|b*)', 'a!(b)', '*.!(b)', '!(ab)c', '!(.x)', '!(+(a)|b)'])
    case 5: return pick(['+', '#', '$s', '.x'])
    case 6: case 7: case 8: return several(3, () => atom(2)).join('')
    default: return pick(['a', 'b', 'ab', 'abc'])
  }
}

function pattern () {
  let text = several(4, level).join('/')
  if (below(4) === 0) {
    const braces = pick(['{a,b}', '{a,b/c}', '{**,a}', '{a,}', '{a}', '{a,{b,*}}', '{1..3}', '{c..a}', '{a', '{a,b}}', '{{a,b}}', '{a\\,b,c}'])
    text = below(2) === 0 ? text + '/' + braces : braces + text
  }
  const front = below(30)
  if (front === 0) return '!' + text
  if (front === 1) return '#' + text
  if (front === 2) return '!!' + text
  if (front === 3) return '/' + text
  if (front === 4) return text + '/'
  return text
}

function topic () {
  return several(4, () => below(5) === 0 ? several(2, () => pick(NAMES)).join('') : pick(NAMES)).join('/')
}

// A topic that is close to the pattern: drawn at random, few would match.
function near (pattern) {
  return pattern
    .replace(/^!+/, '')
    .replace(/[?*+@!]\(([^|)]*)[^)]*\)/g, '$1')
    .replace(/\{([^,}]*),[^}]*\}/g, '$1')
    .replace(/\[!?\^?([^\]])[^\]]*\]/g, '$1')
    .replace(/\*\*/g, () => several(2, () => pick(['a', 'b', 'ab'])).join('/'))
    .replace(/[*?]/g, () => pick(['a', 'b', 'x']))
    .replace(/\\/g, '')
}

const seen = new Set()
let matching = 0
while (seen.size < 2400) {
  const chosen = pattern()
  for (const name of [topic(), near(chosen), near(chosen) + pick(['/', 'a', '/a', '/.x'])]) {
    const answer = minimatch(name, chosen)
    // As many that match as that do not.
    if (name === '' || seen.has(chosen + '\n' + name) || (!answer && matching * 2 < seen.size)) continue
    seen.add(chosen + '\n' + name)
    matching += answer ? 1 : 0
    console.log(JSON.stringify([chosen, name, answer]))
  }
}
