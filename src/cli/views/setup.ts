import { formatBlock } from '../../client/marked-block.ts';
import type { BlockView } from '../../client/own-block.ts';
import type { Line, Result } from '../io.ts';

export interface SetupOutcome {
  readonly tool: string;
  readonly name: string;
  readonly comment: string;
  /** As it was found. */
  readonly view: BlockView;
  /** Of the block as it is to be; undefined where it is to be gone. */
  readonly lines: readonly string[] | undefined;
  readonly isDone: boolean;
}

export function setupResult({ tool, name, comment, view, lines, isDone }: SetupOutcome): Result<'setup'> {
  const { file, state } = view;
  return {
    command: 'setup',
    data: {
      tool,
      file: file.path,
      // Where a link leads, which is what is written.
      writesTo: file.target,
      block: name,
      state,
      did: !isDone ? 'nothing' : lines === undefined ? 'removed' : 'written',
      found: state === 'absent' ? null : view.lines,
      lines: lines ?? null,
    },
    lines: () => [
      headline(view, lines, isDone),
      ...(state === 'current' && lines !== undefined ? [] : difference(view, lines, { name, comment })),
    ],
  };
}

function headline({ file, state }: BlockView, lines: readonly string[] | undefined, isDone: boolean): Line {
  const path = file.path === file.target ? file.path : `${file.path} (a link to ${file.target})`;
  const words = isDone
    ? lines === undefined
      ? 'taken out of'
      : 'written to'
    : state === 'current' && lines !== undefined
      ? 'stands already in'
      : state === 'absent' && lines === undefined
        ? 'nothing of ours in'
        : state === 'edited'
          ? 'edited by hand in'
          : file.text === undefined
            ? 'would make'
            : 'would change';
  return [{ text: words, style: isDone ? 'green' : 'bold' }, ` ${path}`];
}

/** Whole blocks: what stands there now, and what would. Lines that stay have no sign. */
function difference(
  { state, lines: found }: BlockView,
  lines: readonly string[] | undefined,
  marks: { readonly name: string; readonly comment: string },
): Line[] {
  if (state === 'absent') {
    if (lines === undefined) return [];
    const block = formatBlock(lines, marks);
    return Buffer.from(block, 'latin1').toString('utf8').trimEnd().split('\n').map(added);
  }
  const wanted = lines ?? [];
  return [
    ...found.map(
      (line): Line => (wanted.includes(line) ? `  ${line}` : [{ text: `- ${line}`, style: 'red' }]),
    ),
    ...wanted.filter((line) => !found.includes(line)).map(added),
  ];
}

function added(line: string): Line {
  return [{ text: `+ ${line}`, style: 'green' }];
}
