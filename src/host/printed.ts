/** As much of a text from a log as the broker takes, with all but printable ASCII escaped: it can end no line and steer no terminal. */
export function printed(text: string, most: number): string {
  return text.replace(/[^\x20-\x7e]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`).slice(0, most);
}
