/** The sources of the project, as texts, for the tests that hold its house rules. */
import { globSync, readFileSync } from 'node:fs';

export const ROOMS = ['producer', 'worker', 'scaler', 'infra/local', 'infra/doctor'];

export interface SourceFile {
  readonly name: string;
  readonly text: string;
  readonly imports: readonly string[];
}

export const IMPORT = /(?:from|import|import\()\s*'([^']+)'|resolve\('([^']+)'\)/g;
/** Without generated code. */
export const sources: SourceFile[] = globSync('{producer,worker,scaler,shared,infra}/**/*.{ts,mjs}')
  .filter((name) => !name.endsWith('_pb.ts'))
  .map((name) => {
    const text = readFileSync(name, 'utf8');
    return { name, text, imports: [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? '') };
  });

/** `infra/docker` counts as `infra/local`: both prepare an emulator. */
export const roomOf = (file: string): string | undefined =>
  ROOMS.find((room) => file.replace('infra/docker/', 'infra/local/').startsWith(`${room}/`));
