"""What is made for a cluster and an image: the ConfigMap, the settings of a pod's HSDS, its S3 model."""
