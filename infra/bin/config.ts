/** How the user has started `framefleet`. */
import type { Launcher } from '../../shared/runtime/quote-commands.ts';

/** npm sets the variable where `npx` runs a command. */
export function launcherOfUser(): Launcher {
  return process.env['npm_command'] === 'exec' ? 'npx framefleet' : 'framefleet';
}
