/**
 * Control characters, which terminals interpret, and characters that are invisible or change the text
 * direction, which could make one name look like another. Includes Unicode's tag characters and bidirectional
 * controls.
 */
const UNFIT =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffd\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

/** Replaces each character that is not allowed in a label value with `?`. */
export function cleanLabelText(text: string): string {
  return text.replace(UNFIT, '?');
}
