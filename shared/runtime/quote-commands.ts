/**
 * Puts the commands that help, hints and notes quote into the form the user types. All texts quote the npm scripts, as in
 * `npm run fetch -- JOB --force`; a user who started the program with `framefleet` reads `framefleet fetch JOB --force`.
 */
export type Launcher = 'npm' | 'framefleet' | 'npx framefleet';

let usual: Launcher = 'npm';

/** The script and its words, up to the `--` that npm removes. Punctuation or a backtick ends the command before that. */
const WITH_DASHES = /\bnpm run (?:--silent )?([a-z]+)((?: (?!-- )[^\s`]*[^\s`.,:;)])*) --(?= )/g;
const PLAIN = /\bnpm (?:run (?:--silent )?([a-z]+)|(start)\b)/g;

export function quoteCommands(text: string, launcher: Launcher = usual): string {
  if (launcher === 'npm') return text;
  return text.replaceAll(WITH_DASHES, `${launcher} $1$2`).replaceAll(PLAIN, `${launcher} $1$2`);
}

/** How the user has started this process. Without this call: with npm. */
export function setLauncher(launcher: Launcher): void {
  usual = launcher;
}
