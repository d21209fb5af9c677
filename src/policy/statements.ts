/** One policy as written: where it starts in its file, and its text without comments (as many characters, blanked). */
export interface Statement {
  file: string;
  text: string;
  /** UTF-16 offset in the file. */
  offset: number;
  /** The whole file, to count lines in. */
  source: string;
}

/**
 * Cuts a Cedar file at its semicolons, so that every policy is parsed, blamed and named alone. Cedar has no other use
 * for `;` outside strings and comments. What follows the last one is a statement as well: the parser will refuse it.
 */
export function splitStatements(file: string, source: string): Statement[] {
  const code = blankComments(source);
  const statements: Statement[] = [];
  let start = 0;
  const add = (end: number) => {
    const text = code.slice(start, end);
    const lead = text.length - text.trimStart().length;
    if (text.trim() !== '') statements.push({ file, text: text.trim(), offset: start + lead, source });
    start = end;
  };
  for (const { index } of code.matchAll(/"[^"\\]*(?:\\[\s\S][^"\\]*)*"?|;/g)) {
    if (code[index] === ';') add(index + 1);
  }
  add(code.length);
  return statements;
}

/** Line and column, from 1, of an offset into a statement's text. */
export function positionIn(statement: Statement, offset: number): { line: number; column: number } {
  const before = statement.source.slice(0, statement.offset + offset);
  return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') };
}

/** Cedar counts bytes of UTF-8, editors characters. */
export function offsetOfByte(statement: Statement, byte: number): number {
  return Buffer.from(statement.text).subarray(0, byte).toString().length;
}

function blankComments(source: string): string {
  return source.replace(/"[^"\\]*(?:\\[\s\S][^"\\]*)*"?|\/\/[^\n\r]*/g, (found) =>
    found.startsWith('//') ? ' '.repeat(found.length) : found,
  );
}
