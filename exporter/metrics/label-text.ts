/**
 * Control characters, which a terminal obeys, and characters that cannot be seen or that turn text around: one name could
 * pass for another. Of the ranges without a name those of Unicode's tags and of bidirectional controls.
 */
const UNFIT =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffd\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

/** A label value without what does not belong into one: each such character becomes `?`. */
export function cleanLabelText(text: string): string {
  return text.replace(UNFIT, '?');
}
