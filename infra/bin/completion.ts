/**
 * `framefleet completion bash|zsh` prints a script for the shell. The script calls `framefleet completion words -- WORD…` with the words
 * behind `framefleet`; the last one is to be completed. That prints a line for each completion, with a tab before its summary, and the
 * line `:files` where a name of a file may follow. It prints nothing else, and never fails: a key press is no place for an error.
 */
import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

import { print, runCommand } from '../../shared/command/run-command.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { parseCompletionOptions } from './completion/options.ts';

const PROGRAM = fileURLToPath(new URL('framefleet', import.meta.url));

const argv = process.argv.slice(2);
await runCommand(argv, () =>
  argv[0] === 'words' ? printWords(argv.slice(2)) : Promise.resolve(printScript()),
);

function printScript(): number {
  const options = parseCompletionOptions(argv);
  if (options === null) return EXIT.ok;
  const script = readFileSync(new URL(`completion/framefleet.${options.shell}`, import.meta.url), 'utf8');
  print(`_framefleet_program=${quoted(PROGRAM)}\n${script.trimEnd()}`);
  return EXIT.ok;
}

async function printWords(words: readonly string[]): Promise<number> {
  enableCompileCache();
  try {
    const { linesFor } = await import('./completion/words.ts');
    for (const line of await linesFor(words)) print(line);
  } catch {
    // Nothing to complete.
  }
  return EXIT.ok;
}

/** Quotes a path, so that the shell takes it as one word. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
