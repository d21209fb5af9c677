import { CST, Lexer } from 'yaml';

/** Twice what 10,000 people, 1,000 schedules and 5,000 resources take; a larger file is somebody's mistake or attack. */
export const MAX_BYTES = 5_000_000;
const MAX_DEPTH = 32;
const MAX_INDENT = 80;
const MAX_ALIASES = 200;
const MAX_TOKENS = 1_500_000;

/** What is out of bounds, and the offset (UTF-16 units) where it began. */
export interface OutOfBounds {
  offset: number;
  message: string;
}

/**
 * Refuses, from the token stream, what the YAML composer cannot be trusted with: it recurses until the stack ends, where
 * V8 may abort the process past any catch, and it looks anchors up one by one.
 */
export function findOutOfBounds(text: string): OutOfBounds | undefined {
  if (Buffer.byteLength(text) > MAX_BYTES) return { offset: 0, message: 'file is larger than 5 MB' };
  let offset = 0;
  let tokens = 0;
  let aliases = 0;
  let flowDepth = 0;
  let blockDepth = 0;
  let lineStart = true;
  let indent = 0;
  for (const source of new Lexer().lex(text)) {
    const type = CST.tokenType(source);
    const at = offset;
    // The lexer inserts control marks of its own that are not in the text.
    if (type !== 'doc-mode' && type !== 'flow-error-end' && !(type === 'scalar' && source === CST.SCALAR))
      offset += source.length;
    if (++tokens > MAX_TOKENS) return { offset: at, message: 'file has too many parts' };
    if (type === 'newline') {
      lineStart = true;
      indent = 0;
      blockDepth = 0;
      continue;
    }
    if (type === 'space') {
      if (lineStart) indent += source.length;
      continue;
    }
    if (type === 'comment') continue;
    if (lineStart && flowDepth === 0 && indent > MAX_INDENT)
      return { offset: at, message: 'nested too deep' };
    lineStart = false;
    if (type === 'flow-seq-start' || type === 'flow-map-start') flowDepth++;
    if (type === 'flow-seq-end' || type === 'flow-map-end') flowDepth = Math.max(0, flowDepth - 1);
    if (
      type === 'seq-item-ind' ||
      type === 'explicit-key-ind' ||
      (type === 'map-value-ind' && flowDepth === 0)
    )
      blockDepth++;
    if (flowDepth > MAX_DEPTH || blockDepth > MAX_DEPTH) return { offset: at, message: 'nested too deep' };
    if ((type === 'anchor' || type === 'alias') && ++aliases > MAX_ALIASES) {
      return { offset: at, message: `more than ${MAX_ALIASES} anchors and aliases` };
    }
  }
  return undefined;
}
