/** PURE. The colours of Grafana's dark theme: the named colours of a dashboard, and the default palette. */
const NAMED = {
  green: '#73BF69',
  'dark-green': '#37872D',
  yellow: '#FADE2A',
  blue: '#5794F2',
  'light-blue': '#8AB8FF',
  orange: '#FF9830',
  red: '#F2495C',
  'dark-red': '#C4162A',
  purple: '#B877D9',
  text: '#CCCCDC',
} as const;

export type ColourName = keyof typeof NAMED;
export const COLOUR_NAMES = Object.keys(NAMED) as [ColourName, ...ColourName[]];
export const colourOf = (name: ColourName): string => NAMED[name];

const CLASSIC = [
  '#73BF69',
  '#F2CC0C',
  '#8AB8FF',
  '#FF780A',
  '#F2495C',
  '#5794F2',
  '#B877D9',
  '#705DA0',
] as const;
/** The `palette-classic` colour of the series at this index of a panel. */
export const classicColour = (index: number): string => CLASSIC[index % CLASSIC.length] ?? CLASSIC[0];

export const THEME = {
  page: '#111217',
  panel: '#181B1F',
  border: '#25272C',
  grid: '#2A2D33',
  text: '#CCCCDC',
  faint: '#9A9AA5',
} as const;
