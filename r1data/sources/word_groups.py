"""Words by group and comparisons, in English and Chinese: what multiple choice without numbers is made of."""

from __future__ import annotations

#: Group: its name in a sentence ("an animal", "动物") and its words, by language. No word is in two groups.
GROUPS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "animal": {
        "en": ("an animal", ("dog", "cow", "horse", "rabbit", "goat", "wolf")),
        "zh": ("动物", ("狗", "牛", "马", "兔子", "山羊", "狼")),
    },
    "fruit": {
        "en": ("a fruit", ("apple", "pear", "plum", "banana", "cherry", "grape")),
        "zh": ("水果", ("苹果", "梨", "李子", "香蕉", "樱桃", "葡萄")),
    },
    "tool": {
        "en": ("a tool", ("hammer", "saw", "drill", "wrench", "pliers", "screwdriver")),
        "zh": ("工具", ("锤子", "锯子", "电钻", "扳手", "钳子", "螺丝刀")),
    },
    "color": {
        "en": ("a color", ("red", "blue", "green", "yellow", "black", "white")),
        "zh": ("颜色", ("红色", "蓝色", "绿色", "黄色", "黑色", "白色")),
    },
    "metal": {
        "en": ("a metal", ("iron", "copper", "gold", "zinc", "tin", "lead")),
        "zh": ("金属", ("铁", "铜", "金", "锌", "锡", "铅")),
    },
    "furniture": {
        "en": ("a piece of furniture", ("chair", "table", "bed", "desk", "sofa", "wardrobe")),
        "zh": ("家具", ("椅子", "餐桌", "床", "书桌", "沙发", "衣柜")),
    },
    "vehicle": {
        "en": ("a vehicle", ("car", "bus", "train", "bicycle", "truck", "tram")),
        "zh": ("交通工具", ("汽车", "公共汽车", "火车", "自行车", "卡车", "电车")),
    },
    "planet": {
        "en": ("a planet", ("Mars", "Venus", "Saturn", "Jupiter", "Neptune", "Uranus")),
        "zh": ("行星", ("火星", "金星", "土星", "木星", "海王星", "天王星")),
    },
    "shape": {
        "en": ("a shape", ("circle", "square", "triangle", "rectangle", "hexagon", "oval")),
        "zh": ("图形", ("圆形", "正方形", "三角形", "长方形", "六边形", "椭圆")),
    },
    "body": {
        "en": ("a part of the body", ("hand", "foot", "nose", "knee", "ear", "elbow")),
        "zh": ("身体部位", ("手", "脚", "鼻子", "膝盖", "耳朵", "手肘")),
    },
}

#: Comparison: the word between two names, the question for the one with the most and with the least.
COMPARISONS: dict[str, dict[str, tuple[str, str, str]]] = {
    "tall": {
        "en": ("is taller than", "Who is the tallest?", "Who is the shortest?"),
        "zh": ("比{b}高", "谁最高？", "谁最矮？"),
    },
    "old": {
        "en": ("is older than", "Who is the oldest?", "Who is the youngest?"),
        "zh": ("比{b}年龄大", "谁年龄最大？", "谁年龄最小？"),
    },
    "fast": {
        "en": ("runs faster than", "Who is the fastest?", "Who is the slowest?"),
        "zh": ("比{b}跑得快", "谁跑得最快？", "谁跑得最慢？"),
    },
    "rich": {
        "en": ("has more money than", "Who has the most money?", "Who has the least money?"),
        "zh": ("比{b}钱多", "谁的钱最多？", "谁的钱最少？"),
    },
}


def compare(comparison: str, first: str, second: str, language: str) -> str:
    """The sentence that puts the first name above the second, without its full stop."""
    words = COMPARISONS[comparison][language][0]
    return first + words.format(b=second) if language == "zh" else f"{first} {words} {second}"
