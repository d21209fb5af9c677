/**
 * What `oncall setup` knows of one tool: the file that it edits, and the lines that it puts there. A tool is one file in this
 * folder, listed in tools.ts. The rules of editing are the engine's (client/own-block.ts), the same for every tool.
 */
import type { BlockPlace } from '../../client/own-block.ts';
import type { ClientPaths, Environment } from '../../client/paths.ts';
import type { Context } from '../context.ts';

export interface SetupTool {
  /** Behind `oncall setup`. */
  readonly name: string;
  /** On the help page. */
  readonly summary: string;
  /**
   * The file and where in it: honours the tool's own environment variable, then XDG, then HOME. Asks nobody: `--remove` works with
   * no broker. Throws AppError `config_invalid` where nothing says where home is, `usage` where something must be said.
   */
  place(where: SetupPlace): BlockPlace;
  /** Where an earlier set-up may have written instead, for `--remove`. */
  otherPlaces?(where: SetupPlace): readonly BlockPlace[];
  /**
   * The lines of the block. The files in the tools folder (client/tool-files.ts) are there by then; a line may name them. Lines that
   * hold a secret, or a name from outside that was not checked against protocol/names.ts, have no place here.
   */
  lines(context: Context, where: SetupPlace): Promise<readonly string[]>;
  /** A file of the tools folder which is what the block consists of, kept in step from then on. */
  readonly follows?: string;
  /** Has something to say to `--agent`. */
  readonly usesAgent?: boolean;
  /** What works now, to type. */
  readonly usage: string;
}

export interface SetupPlace {
  readonly env: Environment;
  readonly paths: ClientPaths;
  /** `--shell`, else what SHELL names. */
  readonly shell: string | undefined;
}
