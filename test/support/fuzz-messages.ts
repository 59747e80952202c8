/**
 * Malformed messages: text, bytes, JSON of other things, and batches with one mistake. Reproducible from a seed.
 *
 * All are text that survives XML unchanged: no control characters except tab and line feed, no lone surrogates.
 */
import type { BatchMessage } from '../../shared/contract/messages.ts';
import { badBatches } from './bad-batches.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface FuzzedMessage {
  /** What is wrong with the message. */
  readonly name: string;
  readonly text: string;
}

type Dice = (sides: number) => number;
type Kind = readonly [name: string, text: (roll: Dice) => string];

/** Below the bounds of the queue: 64 KiB of text, of which base64 leaves 48 KiB. */
const TEXT_BYTES_MAX = 60 * 1024;
const BYTES_MAX = 45 * 1024;
/** Characters or bytes of a small message. Most are small. */
const SMALL = 300;

const MARKUP = ['<', '>', '&', '"', "'", ']]>', '<![CDATA[', '&amp;', '&#0;', '<!-- ', '<?xml ', '&x;', '</'];
const PLAIN = Array.from({ length: 95 }, (_, index) => String.fromCodePoint(32 + index));
const UNICODE: readonly (readonly [first: number, last: number])[] = [
  [0x20, 0x7e],
  [0xa0, 0xd7ff],
  [0xe000, 0xfffd],
  [0x1_f300, 0x1_f6ff],
  [0x2_0000, 0x2_a6df],
];

/** `count` messages in random order: one of each kind, and random kinds beyond that. Malformed batches are made from `batch`. */
export function fuzzedMessages(batch: BatchMessage, count: number, random: SeededRandom): FuzzedMessage[] {
  const roll: Dice = (sides) => Math.floor(random() * sides);
  const valid = JSON.stringify(batch);
  const wild = [...textKinds(), ...jsonKinds(valid), ...brokenKinds(valid)];
  const mutants = badBatches(batch).map(({ name, json }): Kind => [name, () => base64(JSON.stringify(json))]);
  const every = [...wild, ...mutants];
  const messages = Array.from({ length: count }, (_, index): FuzzedMessage => {
    const [name, text] = every[index] ?? picked(roll(2) === 0 ? wild : mutants, roll);
    return { name, text: text(roll) };
  });
  return shuffled(messages, roll);
}

function textKinds(): Kind[] {
  const word = (roll: Dice) => picked(PLAIN, roll);
  const codePoint = (roll: Dice) => {
    const [first, last] = picked(UNICODE, roll);
    return String.fromCodePoint(first + roll(last - first + 1));
  };
  return [
    ['empty', () => ''],
    ['white space', (roll) => textOf(1 + roll(20), () => picked([' ', '\t', '\n'], roll))],
    ['text', (roll) => textOf(1 + roll(SMALL), () => word(roll))],
    ['text around space', (roll) => `\n ${textOf(roll(SMALL), () => word(roll))} \t`],
    ['markup', (roll) => textOf(1 + roll(SMALL), () => picked(MARKUP, roll))],
    ['long markup', (roll) => textOf(10_000, () => picked(['<', '&', '"'], roll))],
    ['a document type', () => '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'],
    ['letters of many scripts', (roll) => textOf(1 + roll(SMALL), () => codePoint(roll))],
    ['a byte order mark', () => '\u{feff}{}'],
    ['long text', (roll) => textOf(TEXT_BYTES_MAX, () => word(roll))],
    ['long CJK text', () => '作'.repeat(TEXT_BYTES_MAX / 3)],
    ['many quotes', () => '"'.repeat(TEXT_BYTES_MAX)],
    ['many backslashes', () => '\\'.repeat(TEXT_BYTES_MAX / 2)],
    ['a number', (roll) => String(roll(1e9) - 5e8)],
    ['a path out', (roll) => '../'.repeat(1 + roll(50))],
    ['a prototype’s name', (roll) => picked(['__proto__', 'constructor', 'toString', 'null'], roll)],
  ];
}

/** Values that are not an object, or not a batch. */
const OTHER_JSON = ['null', 'true', '7', '-0', '1e400', '"text"', '[]', '{}', '[[]]', '{"version":1}'];
const BLOB_CREATED = '{"eventType":"Microsoft.Storage.BlobCreated","data":{"api":"PutBlob"}}';

function jsonKinds(valid: string): Kind[] {
  const wrapped = [
    `[${valid}]`,
    JSON.stringify(valid),
    `{"batch":${valid}}`,
    `{"__proto__":${valid}}`,
    `{"constructor":{"prototype":${valid}}}`,
  ];
  const large = [
    `${'{"a":'.repeat(1_000)}1${'}'.repeat(1_000)}`,
    `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
    JSON.stringify('作'.repeat(BYTES_MAX / 3)),
    JSON.stringify(Array.from({ length: 10_000 }, () => 0)),
  ];
  const texts = [...OTHER_JSON, BLOB_CREATED, ...wrapped, ...large];
  return texts.map((text): Kind => [`JSON of ${text.slice(0, 40)}`, () => base64(text)]);
}

function brokenKinds(valid: string): Kind[] {
  const whole = base64(valid);
  return [
    ['bytes', (roll) => bytesOf(1 + roll(SMALL), roll).toString('base64')],
    ['many bytes', (roll) => bytesOf(BYTES_MAX, roll).toString('base64')],
    [
      'bytes in an object',
      (roll) => Buffer.concat([Buffer.from('{'), bytesOf(SMALL, roll)]).toString('base64'),
    ],
    // Cuts off more than the padding, including the last brace.
    ['a batch cut short', (roll) => whole.slice(0, roll(whole.length - 4))],
    ['a batch without its beginning', (roll) => whole.slice(4 * (1 + roll(whole.length / 4 - 1)))],
    ['a batch in base64 twice', () => base64(whole)],
    ['a batch as JSON', () => valid],
    ['a batch in UTF-16', () => Buffer.from(valid, 'utf16le').toString('base64')],
    ['a batch after a byte order mark', () => base64(`\u{feff}${valid}`)],
    ['two batches', () => base64(valid + valid)],
    ['a batch and more', () => base64(`${valid},`)],
    ['a batch with a comment', () => base64(`/* */${valid}`)],
    ...['NaN', 'Infinity', '-Infinity', '0x1', '01', '1.', 'undefined', "'1'"].map((number): Kind => {
      return [`a batch of ${number}`, () => base64(valid.replace(/"epoch":\d+/, `"epoch":${number}`))];
    }),
  ];
}

/** Base64 of UTF-8. */
function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function bytesOf(length: number, roll: Dice): Buffer {
  return Buffer.from(Array.from({ length }, () => roll(256)));
}

function textOf(length: number, next: () => string): string {
  return Array.from({ length }, next).join('');
}

function picked<T>(from: readonly T[], roll: Dice): T {
  const one = from[roll(from.length)];
  if (one === undefined) throw new RangeError('expected something to pick from');
  return one;
}

function shuffled<T>(all: readonly T[], roll: Dice): T[] {
  const left = [...all];
  return all.map(() => {
    const [one] = left.splice(roll(left.length), 1);
    if (one === undefined) throw new RangeError('expected something to pick from');
    return one;
  });
}
