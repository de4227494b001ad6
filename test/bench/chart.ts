/** The chart of the report: bars for each server, a panel for each shape. */
import { init, use } from 'echarts/core'
import { BarChart } from 'echarts/charts'
import { GridComponent, TitleComponent } from 'echarts/components'
import { SVGRenderer } from 'echarts/renderers'
import type { Bar } from './section.ts'
import { shown } from './statistics.ts'

export interface Panel {
  readonly title: string
  readonly bars: readonly Bar[]
}

const WIDTH = 860
const ROW_HEIGHT = 20
const TITLE_HEIGHT = 40
const LEFT = 190
const RIGHT = 70
const COLOURS: Readonly<Record<string, string>> = { postern: '#2f6f4f', barest: '#b8b8b8' }
const RIVAL = '#c9813a'

use([BarChart, GridComponent, TitleComponent, SVGRenderer])

/** As SVG. */
export function chart(panels: readonly Panel[]): string {
  const tops: number[] = []
  let height = 0
  for (const { bars } of panels) {
    tops.push(height)
    height += TITLE_HEIGHT + bars.length * ROW_HEIGHT + 10
  }
  const drawing = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  drawing.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: panels.map(({ title }, i) => ({
      text: title,
      left: 10,
      top: (tops[i] ?? 0) + 8,
      textStyle: { fontSize: 13 },
    })),
    grid: panels.map(({ bars }, i) => ({
      left: LEFT,
      right: RIGHT,
      top: (tops[i] ?? 0) + TITLE_HEIGHT - 6,
      height: bars.length * ROW_HEIGHT,
    })),
    xAxis: panels.map((_, i) => ({ type: 'value', gridIndex: i, show: false })),
    yAxis: panels.map(({ bars }, i) => ({
      type: 'category',
      gridIndex: i,
      inverse: true,
      data: bars.map(({ name }) => name),
      axisTick: { show: false },
      axisLine: { show: false },
      axisLabel: { fontSize: 11, interval: 0 },
    })),
    series: panels.map(({ bars }, i) => ({
      type: 'bar',
      xAxisIndex: i,
      yAxisIndex: i,
      barWidth: '70%',
      label: {
        show: true,
        position: 'right',
        fontSize: 11,
        formatter: ({ value }: { value: unknown }) => shown(Number(value)),
      },
      data: bars.map(({ name, value }) => ({
        value,
        itemStyle: { color: COLOURS[name.split('-', 1)[0] ?? ''] ?? RIVAL },
      })),
    })),
  })
  const svg = drawing.renderToSVGString()
  drawing.dispose()
  return `${svg}\n`
}
