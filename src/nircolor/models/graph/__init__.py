"""Graph convolution of NIR-GNN: neighbour search, sums over edges, and the layer itself."""

from nircolor.models.graph.edge_sums import sum_edges
from nircolor.models.graph.edges import EdgeNetwork
from nircolor.models.graph.graph_conv import GraphConv, LocalConv
from nircolor.models.graph.knn import Graph, nearest

__all__ = ["EdgeNetwork", "Graph", "GraphConv", "LocalConv", "nearest", "sum_edges"]
