/** Global setup: installs the stub tool, then applies, plans again and destroys both configurations once for all tests. */
import type { TestProject } from 'vitest/node';

import { type StubRun, installTool, removeTool, runStub } from './tfstub.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly tool: string;
    readonly small: StubRun;
    readonly full: StubRun;
  }
}

export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const tool = await installTool();
  provide('tool', tool);
  provide('small', await runStub(tool, { file: 'small.tfvars' }, { isApplied: true }));
  provide('full', await runStub(tool, { file: 'full.tfvars' }, { isApplied: true }));
  return () => removeTool(tool);
}
