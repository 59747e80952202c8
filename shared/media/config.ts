/** Reads `PATH`, the only variable that the media programs depend on. It says where to find them; they do not inherit it. */
import path from 'node:path';

/** The folders of `PATH`, in order. Relative entries are left out: the working folder must not decide which program runs. */
export function programFolders(): readonly string[] {
  return (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
}
