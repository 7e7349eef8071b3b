/** Random Unicode text that is hard on tokenizers: every plane and general category, and what expressions and merges trip over. */
import fc from "fast-check";

const character = (code: number) => (code >= 0xd800 && code <= 0xdfff ? "\ufffd" : String.fromCodePoint(code));
const between = (from: number, to: number) => fc.integer({ min: from, max: to }).map(character);
const from = (characters: string) => fc.constantFrom(...Array.from(characters));

/** A Latin to a Hangul block: letters, marks and digits as they stand in texts, and the unassigned code points between them. */
const BLOCKS = [
  [0x00a0, 0x024f], // Latin-1, extended: titlecase digraphs, the long s
  [0x0370, 0x03ff], // Greek
  [0x0400, 0x052f], // Cyrillic
  [0x0590, 0x05ff], // Hebrew, points
  [0x0600, 0x06ff], // Arabic, its digits and marks
  [0x0900, 0x097f], // Devanagari
  [0x0e00, 0x0e7f], // Thai
  [0x0f00, 0x0fff], // Tibetan
  [0x10a0, 0x10ff], // Georgian
  [0x1100, 0x11ff], // Hangul Jamo
  [0x13a0, 0x13ff], // Cherokee, of which both cases are written
  [0x1e00, 0x1fff], // Latin, Greek with accents
  [0x2000, 0x206f], // spaces, directions, joiners
  [0x2070, 0x218f], // superscripts, currencies, letterlike, number forms
  [0x2460, 0x24ff], // enclosed letters and digits
  [0x3000, 0x30ff], // CJK punctuation, Hiragana, Katakana
  [0x4e00, 0x9fff], // ideographs
  [0xac00, 0xd7a3], // Hangul
  [0xf900, 0xfaff], // compatibility ideographs
  [0xfe00, 0xfeff], // variation selectors, half marks, Arabic forms, the byte order mark
  [0xff00, 0xffef], // full and half width
  [0x10400, 0x1044f], // Deseret: cases beyond the first plane
  [0x1d400, 0x1d7ff], // mathematical letters and digits
  [0x1f300, 0x1faff], // pictographs
  [0x20000, 0x2a6df], // ideographs beyond the first plane
  [0xe0000, 0xe01ef], // tags, variation selectors
] as const;

const spaces = from(" \t\n\r\v\f\u0085\u00a0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000");
const word = (letter: fc.Arbitrary<string>, maxLength: number) => fc.string({ unit: letter, minLength: 1, maxLength });

const pieces: readonly (readonly [weight: number, piece: fc.Arbitrary<string>])[] = [
  [6, word(from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), 12)],
  [
    3,
    fc.constantFrom("the", " of", "return", "Über", "naïve", "Straße", "привет", "你好世界", "안녕하세요", "שלום", "مرحبا", "नमस्ते", "สวัสดี"),
  ],
  [3, word(from("0123456789"), 7)],
  [2, word(from("٠١٢٣४५६๗๘๙０１２３𝟎𝟏²³¼ⅧⅫ①⑴〇"), 5)],
  [4, fc.constant(" ")],
  [3, word(spaces, 6)],
  [2, word(from(" \n\r\t"), 9)],
  [3, word(from("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), 5)],
  [3, fc.constantFrom("'s", "'S", "'t", "'T", "'re", "'RE", "'Ve", "'m", "'LL", "'ll", "'d", "'ſ", "’s", "'", "''s")],
  [
    3,
    fc
      .tuple(
        fc.nat(BLOCKS.length - 1),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { minLength: 1, maxLength: 6 }),
      )
      .map(([block, places]) => {
        const [first, last] = BLOCKS[block]!;
        return places.map((place) => character(first + Math.floor(place * (last + 1 - first)))).join("");
      }),
  ],
  [2, word(between(0x300, 0x36f), 4)],
  [2, fc.constantFrom("👨‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇩🇪", "🇺", "❤️", "☕", "1️⃣", "\u200d", "\ufe0f", "🏴󠁧󠁢󠁥󠁮󠁧󠁿")],
  [2, word(between(0, 0x1f), 3)],
  [1, word(between(0x7f, 0x9f), 3)],
  [1, word(between(0xe000, 0xf8ff), 2)],
  [3, word(between(0, 0x10ffff), 4)],
];

/** Up to some forty characters; no lone surrogates. */
export const fuzzedText: fc.Arbitrary<string> = fc
  .array(fc.oneof(...pieces.map(([weight, arbitrary]) => ({ weight, arbitrary }))), { maxLength: 12 })
  .map((parts) => parts.join(""));
