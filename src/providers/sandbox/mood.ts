import { blend, type Rgb, rgb } from './painter.ts'
import { pick, type Random } from './random.ts'
import { readWeather, type Weather } from './weather.ts'

export type Place =
  | 'street'
  | 'skyline'
  | 'sea'
  | 'mountains'
  | 'forest'
  | 'desert'
  | 'space'
  | 'meadow'
  | 'room'
export type Time = 'night' | 'dawn' | 'day' | 'dusk'

/** What a prompt's words say about the scene to paint. */
export interface Mood {
  place: Place
  time: Time
  weather: Weather
  /** Sky colours from the top to the horizon. */
  sky: readonly Rgb[]
  /** The colour that far things fade into. */
  haze: Rgb
  /** The colour of near things in shade. */
  shade: Rgb
  /** The colour of the light. */
  light: Rgb
  hasAurora: boolean
  hasStars: boolean
  hasMoon: boolean
  hasSnow: boolean
  hasWater: boolean
  hasFire: boolean
  hasPeople: boolean
  hasBirds: boolean
  hasBoat: boolean
  hasCat: boolean
  hasRing: boolean
}

/** The first row with a word in the prompt decides the place. Rooms come late: "room" is often an aside. */
const places: readonly [Place, RegExp][] = [
  [
    'space',
    /\b(space(ship|craft|walk)?|galax\w+|nebula\w*|planets?|cosmos|cosmic|universe|astronauts?|asteroids?|orbit(al|ing) (the )?earth|milky way|supernova|mars|saturn|jupiter)\b/i,
  ],
  [
    'street',
    /\b(streets?|alley\w*|tokyo|shibuya|neon\w*|cyberpunk|storefronts?|shops?|night market|market|traffic|hong kong|crosswalk|pedestrians?)\b/i,
  ],
  [
    'skyline',
    /\b(city|cities|cityscape|downtown|skyscrapers?|skyline|urban|new york|manhattan|paris|london|towers?|town|bridge)\b/i,
  ],
  [
    'sea',
    /\b(sea|seas|seaside|ocean\w*|beach\w*|waves?|coast\w*|shores?|island\w*|sail\w*|boats?|ships?|surf\w*|whales?|dolphins?|harbou?r|lagoon|underwater)\b/i,
  ],
  [
    'mountains',
    /\b(mountain\w*|alp(s|ine)|peaks?|summit\w*|himalaya\w*|fjords?|glaciers?|cliffs?|valleys?|canyon\w*|volcano\w*|lakes?|ski\w*)\b/i,
  ],
  ['desert', /\b(desert\w*|dunes?|sahara|sands?|camels?|oasis|mesa)\b/i],
  [
    'forest',
    /\b(forest\w*|woods?|woodland|jungle\w*|trees?|pines?|redwoods?|bamboo|rainforest|deer|fox|bears?|wolf|wolves)\b/i,
  ],
  [
    'room',
    /\b(rooms?|bedroom|kitchen|living room|sofa|couch|caf[eé]|office|indoors?|interior|windows?(ill)?|cats?|kittens?|desk|library|restaurant|coffee|portrait|book)\b/i,
  ],
  [
    'meadow',
    /\b(meadow\w*|fields?|grass\w*|flowers?|garden\w*|parks?|farm\w*|hills?|prairie|countryside|sunflowers?|horses?|dogs?|puppy|balloons?|spring)\b/i,
  ],
]

const skies: Record<Time, readonly (readonly string[])[]> = {
  night: [
    ['#03060f', '#081226', '#12234a', '#213a63'],
    ['#05040f', '#120f2c', '#221c4c', '#3a2f66'],
  ],
  dawn: [
    ['#27406f', '#6f7fb0', '#d9a5ae', '#ffd3a6'],
    ['#3a4a80', '#8d84b5', '#eaa9a4', '#ffe0b8'],
  ],
  day: [
    ['#2a6fb5', '#5b9fd6', '#a5cfec', '#dcecf3'],
    ['#2f7fc0', '#6fb1de', '#b5d9ec', '#f1f1e4'],
  ],
  dusk: [
    ['#1c1f4a', '#5a356e', '#cf5a5c', '#ffb45e'],
    ['#231a45', '#7a3468', '#e2664f', '#ffc36b'],
  ],
}

const tones: Record<Time, { haze: string; shade: string; light: string }> = {
  night: { haze: '#24395f', shade: '#060a15', light: '#c9d8f5' },
  dawn: { haze: '#e3b3a8', shade: '#2b2a45', light: '#ffe2bd' },
  day: { haze: '#c8dcea', shade: '#24423f', light: '#fff8e4' },
  dusk: { haze: '#d4826a', shade: '#1f1631', light: '#ffcf8a' },
}

/** Reads the scene out of a prompt; what the words leave open, the seed decides. */
export function readMood(prompt: string, random: Random): Mood {
  const says = (words: RegExp): boolean => words.test(prompt)
  const place =
    places.find(([, words]) => says(words))?.[0] ?? pick(random, ['mountains', 'sea', 'meadow'] as const)
  const weather = readWeather(prompt)
  const time = readTime(prompt, place, random)
  // Overcast light is flatter and greyer than the same hour under a clear sky.
  const grey: Rgb = time === 'night' ? [26, 32, 46] : [168, 176, 186]
  const dull = weather === 'clear' ? 0 : weather === 'fog' ? 0.42 : 0.38
  const tone = tones[time]
  const sky = pick(random, skies[time]).map((color) => blend(rgb(color), grey, dull))
  return {
    place,
    time,
    weather,
    sky,
    haze: blend(rgb(tone.haze), grey, dull),
    shade: rgb(tone.shade),
    light: rgb(tone.light),
    hasAurora: says(/\b(aurora\w*|northern lights?)\b/i),
    hasStars: says(/\b(stars?|starry|starlight|milky way)\b/i) || (time === 'night' && weather === 'clear'),
    hasMoon:
      says(/\bmoon\w*\b/i) ||
      (time === 'night' && weather === 'clear' && place !== 'street' && random() < 0.6),
    hasSnow: weather === 'snow' || says(/\b(snow\w*|winter|icy|ice|frost\w*|arctic|glaciers?|alpine)\b/i),
    hasWater: says(/\b(lakes?|rivers?|fjords?|ponds?|reflect\w*|water)\b/i),
    hasFire: says(/\b(fire\w*|campfire|flames?|candle\w*|lava|embers?|burning)\b/i),
    hasPeople: says(
      /\b(people|person|man|woman|girl|boy|child\w*|crowd\w*|umbrellas?|pedestrians?|couple|walk\w*|tokyo|street\w*|travell?er|hiker|astronaut)\b/i,
    ),
    hasBirds: says(/\b(birds?|gulls?|seagulls?|eagles?|geese|swallows?)\b/i),
    hasBoat: says(/\b(boats?|ships?|sail\w*|yacht|fishing)\b/i),
    hasRing: says(/\b(ring(s|ed)?|saturn)\b/i),
    hasCat: says(/\b(cats?|kittens?)\b/i),
  }
}

function readTime(prompt: string, place: Place, random: Random): Time {
  if (/\b(night\w*|midnight|moon\w*|star(s|ry|light)|aurora|northern lights?|neon\w*)\b/i.test(prompt)) {
    return 'night'
  }
  if (/\b(dawn|sunrise|daybreak|first light|early morning)\b/i.test(prompt)) {
    return 'dawn'
  }
  if (/\b(sunset\w*|dusk|twilight|golden hour|evening)\b/i.test(prompt)) {
    return 'dusk'
  }
  if (/\b(day\w*|noon|morning|sunny|sunlit|sunlight|bright|blue sky|afternoon|summer)\b/i.test(prompt)) {
    return 'day'
  }
  if (place === 'space' || place === 'street') {
    return 'night'
  }
  return pick(random, ['day', 'dusk', 'dawn', 'day'] as const)
}
