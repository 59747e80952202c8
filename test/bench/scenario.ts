/** What the benchmark measures: scenarios, each of which yields one value a round for each of its figures. */

export interface Figure {
  /** Selects it on the command line. */
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  /** What it is measured against, if it is a ratio. */
  readonly against?: string;
  readonly target: { readonly max: number } | { readonly min: number } | undefined;
}

/** The value of each figure of a scenario, by the figure's name. */
export type Values = Readonly<Record<string, number>>;

export interface Scenario {
  readonly figures: readonly Figure[];
  /** Measures each figure once, with a fleet of its own. `folder` is empty and is removed afterwards. */
  readonly measure: (folder: string) => Promise<Values>;
  /** Fewer rounds than others, because one takes minutes. */
  readonly roundsMax?: number;
}

export function meets(figure: Figure, value: number): boolean | undefined {
  if (figure.target === undefined) return undefined;
  return 'max' in figure.target ? value <= figure.target.max : value >= figure.target.min;
}
